-- Shared market data.

CREATE TABLE candles (
    exchange text NOT NULL CHECK (exchange ~ '^[a-z][a-z0-9_]{1,31}$'),
    symbol text NOT NULL CHECK (symbol ~ '^[A-Z0-9]{1,20}-[A-Z0-9]{1,20}$'),
    interval text NOT NULL CHECK (interval ~ '^[1-9][0-9]{0,2}[mhdw]$'),
    open_time timestamptz NOT NULL,
    open numeric(38,18) NOT NULL CHECK (open > 0),
    high numeric(38,18) NOT NULL,
    low numeric(38,18) NOT NULL CHECK (low > 0),
    close numeric(38,18) NOT NULL CHECK (close > 0),
    volume numeric(38,18) NOT NULL CHECK (volume >= 0),
    source text NOT NULL CHECK (length(source) BETWEEN 1 AND 100),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (exchange, symbol, interval, open_time),
    CHECK (high >= low AND high >= open AND high >= close AND low <= open AND low <= close)
);
GRANT SELECT ON candles TO alphapulse_app, alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON candles TO alphapulse_platform;

CREATE TABLE instruments (
    exchange text NOT NULL CHECK (exchange ~ '^[a-z][a-z0-9_]{1,31}$'),
    symbol text NOT NULL CHECK (symbol = base || '-' || quote),
    base text NOT NULL CHECK (base ~ '^[A-Z0-9]{1,20}$'),
    quote text NOT NULL CHECK (quote ~ '^[A-Z0-9]{1,20}$'),
    exchange_symbol text,
    tick numeric(38,18) NOT NULL CHECK (tick > 0),
    lot numeric(38,18) NOT NULL CHECK (lot > 0),
    min_quantity numeric(38,18) NOT NULL DEFAULT 0 CHECK (min_quantity >= 0),
    max_quantity numeric(38,18) CHECK (max_quantity > 0),
    min_notional numeric(38,18) NOT NULL DEFAULT 0 CHECK (min_notional >= 0),
    status text NOT NULL DEFAULT 'trading' CHECK (status IN ('trading', 'halted', 'delisted')),
    source text NOT NULL CHECK (length(source) BETWEEN 1 AND 100),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (exchange, symbol)
);
GRANT SELECT ON instruments TO alphapulse_app, alphapulse_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON instruments TO alphapulse_platform;
