"""What people of a simulated network write in an hour."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from alphapulse.providers.social.scoring import RawPost

_HOUR: Final = 3600
_AUTHORS: Final = 400
_TALKATIVE: Final = 12
_TALKATIVE_SHARE: Final = 0.15
_CALM_SHARE: Final = 0.3
_TYPICAL_POSTS: Final = {"BTC": 7.0, "ETH": 6.0, "SOL": 5.0, "DOGE": 5.0}
_OTHER_POSTS: Final = 4.0
_BURST_CHANCE: Final = 0.04
_BURST_FACTOR: Final = 4
_CAMPAIGN_CHANCE: Final = 0.05
_SPAM_CHANCE: Final = 0.07

_OPENINGS: Final = (
    "Been watching {asset} all week.",
    "Honest question about {asset}:",
    "Back at the charts for {asset} tonight.",
    "{asset} again today.",
    "My two cents on {asset}.",
    "Looking at ${asset} this morning.",
    "Third year of holding {asset} now.",
    "Not financial advice, only {asset}.",
    "Reading the {asset} news over coffee.",
    "So, {asset}.",
    "After the last few days of {asset},",
    "Some notes on {asset} from my side.",
)
_GLAD: Final = (
    "this breakout looks great and I am bullish.",
    "adoption keeps growing and I love to see it.",
    "the rally feels strong, buyers are winning.",
    "I am happy to hodl, this is undervalued.",
    "nice rebound, good volume, no reason to worry.",
    "accumulating here feels like a gift.",
    "inflows are excellent and the trend is an uptrend.",
    "the upgrade went perfectly, impressive work.",
    "we are going to the moon and I am excited.",
    "best week in months, very pleased with my profit.",
)
_ANGRY: Final = (
    "this breakdown looks terrible and I am bearish.",
    "another dump, and I am tired of losses.",
    "people are scared and liquidations are everywhere.",
    "I am afraid this bear market is getting worse.",
    "weak bounce, bad volume, looks like a bull trap.",
    "overvalued, and the team keeps failing us.",
    "outflows are awful and the trend is a downtrend.",
    "the outage was a disaster, terrible work.",
    "got rekt on this crash and I hate it.",
    "worst week in months, very angry about my loss.",
)
_CALM: Final = (
    "price is moving sideways between the same two lines.",
    "does anybody know when the next release is planned?",
    "I moved my coins to another wallet yesterday.",
    "volume is about what it was last month.",
    "where do you keep your records for taxes?",
    "reading through the new proposal right now.",
    "the node has synced for two days so far.",
    "comparing fees between three exchanges.",
)
_CLOSINGS: Final = (
    "What do you think?",
    "Curious how others see it.",
    "Will look again tomorrow.",
    "Back to work for me.",
    "My position stays as it is.",
    "Let me know what I am missing.",
    "Chart in the comments.",
    "Writing this down to check it later.",
    "Same as last month, really.",
    "Time will tell.",
    "That is all I have.",
)
_CAMPAIGNS: Final = (
    "{asset} will explode tonight, amazing gains guaranteed, join the free group before everyone else does!",
    "Huge news for {asset}, insiders are buying, best chance of your life, do not miss these profits!",
    "{asset} is a scam and it will crash to zero, sell everything now before the terrible dump!",
)
_TAGS: Final = "#crypto #gem #100x #altcoin #pump #airdrop #giveaway #trading #invest #moon"


def hour_of_posts(seed: int, asset: str, hour: int) -> list[RawPost]:
    """Return the posts of an hour since 1970, in no order; the same arguments give the same posts."""
    # Not for secrets: the same numbers for the same seed are the point.
    chance = random.Random(f"{seed}/posts/{asset}/{hour}")  # noqa: S311 - see above
    mood = mood_of(seed, asset, hour)
    count = _number(chance, _TYPICAL_POSTS.get(asset, _OTHER_POSTS))
    if chance.random() < _BURST_CHANCE:
        # Excitement is about something: it leans further to one side.
        count, mood = count * _BURST_FACTOR, max(-1.0, min(1.0, mood + chance.choice((-0.6, 0.6))))
    posts = [_post(chance, asset, hour, mood) for _ in range(count)]
    if chance.random() < _CAMPAIGN_CHANCE:
        posts += _campaign(chance, asset, hour)
    return posts


def mood_of(seed: int, asset: str, hour: int) -> float:
    """Return the mood of an hour, in [-1, 1]; it changes over days, not hours."""
    day, within = divmod(hour, 24)
    today, tomorrow = (_mood_at(seed, asset, midnight) for midnight in (day, day + 1))
    return today + (tomorrow - today) * within / 24


def _mood_at(seed: int, asset: str, day: int) -> float:
    # Part of a mood lasts for about a week, and part is the day's own.
    week = random.Random(f"{seed}/week/{asset}/{day // 7}").uniform(-1, 1)  # noqa: S311 - as above
    own = random.Random(f"{seed}/day/{asset}/{day}").uniform(-1, 1)  # noqa: S311 - as above
    return 0.1 + 0.5 * week + 0.35 * own


def _number(chance: random.Random, typical: float) -> int:
    # Binomial: near Poisson, with an end.
    return sum(chance.random() < typical / 40 for _ in range(40))


def _post(chance: random.Random, asset: str, hour: int, mood: float) -> RawPost:
    if chance.random() < _SPAM_CHANCE:
        text = f"{asset} {_TAGS} http://example.com/{chance.randrange(10**6)}"
    else:
        parts = (chance.choice(_OPENINGS), chance.choice(_claims(chance, mood)), chance.choice(_CLOSINGS))
        text = " ".join(parts).format(asset=asset)
    # A few authors write much more than the others.
    authors = _TALKATIVE if chance.random() < _TALKATIVE_SHARE else _AUTHORS
    return _raw(chance, hour, text, f"author-{chance.randrange(authors)}")


def _claims(chance: random.Random, mood: float) -> tuple[str, ...]:
    if chance.random() < _CALM_SHARE:
        return _CALM
    return _GLAD if chance.uniform(-1, 1) < mood else _ANGRY


def _campaign(chance: random.Random, asset: str, hour: int) -> Iterator[RawPost]:
    text = chance.choice(_CAMPAIGNS).format(asset=asset)
    for number in range(chance.randint(5, 25)):
        # Copies differ in what a filter of exact texts looks at, and in nothing else.
        yield _raw(chance, hour, f"@user{number} {text} {chance.randrange(1000)}", f"bot-{hour}-{number}")


def _raw(chance: random.Random, hour: int, text: str, author: str) -> RawPost:
    begin = datetime.fromtimestamp(hour * _HOUR, UTC)
    return RawPost(
        id=f"{chance.getrandbits(48):012x}",
        network=chance.choice(("reddit", "x")),
        posted_at=begin + timedelta(seconds=chance.randrange(_HOUR)),
        author=author,
        text=text,
        engagement=float(int(chance.paretovariate(0.9))),
    )
