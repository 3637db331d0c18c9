"""The Telegram bot: a door to the API, for people with a phone."""
