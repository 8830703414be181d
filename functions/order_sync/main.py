"""functions-framework target: `functions-framework --source functions/order_sync/main.py --target main`."""

import functions_framework.aio

from alphapulse.runtime.target import target

main = functions_framework.aio.http(target(__file__))
