"""The functions-framework target `main` of this folder."""

import functions_framework.aio

from alphapulse.runtime.target import target

main = functions_framework.aio.http(target(__file__))
