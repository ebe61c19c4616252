"""PURE: AWS services as sans-IO state machines. `now` comes in, commands and values come out."""
