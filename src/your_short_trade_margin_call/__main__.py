"""``python -m your_short_trade_margin_call``: the command line."""

from your_short_trade_margin_call.cli import main

main()
