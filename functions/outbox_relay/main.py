"""functions-framework target: `functions-framework --source functions/outbox_relay/main.py --target main`."""

import functions_framework.aio

from alphapulse.runtime.target import target

main = functions_framework.aio.http(target(__file__))
