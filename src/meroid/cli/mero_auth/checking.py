"""`mero-auth check`: what the service would run with, and where each setting comes from."""

import json
from collections.abc import Iterator

from meroid.config import StandaloneSettings
from meroid.vault.store_keys import open_secret_store


def check(settings: StandaloneSettings, *, as_json: bool) -> None:
    """Print every setting with its source; nothing is opened or made.

    Raises:
        UnknownKeyStoreError and others: `key_store` names none.
    """
    open_secret_store(settings.key_store, settings.home)
    file = None if settings.config_file is None else str(settings.config_file)
    if as_json:
        shown = {
            "configFile": file,
            "home": str(settings.home),
            "settings": [{"name": each.name, "value": each.value, "source": each.source} for each in settings.said],
            "ignored": list(settings.ignored),
            "warnings": list(warnings(settings)),
        }
        print(json.dumps(shown, indent=2))
        return
    print(f"configuration  {file or 'none: defaults and environment'}")
    print(f"home           {settings.home}")
    rows = [("setting", "value", "from"), *((each.name, each.value, each.source) for each in settings.said)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    print()
    for name, value, source in rows:
        print(f"{name:{widths[0]}}  {value:{widths[1]}}  {source}")
    for line in warnings(settings):
        print(f"\nwarning: {line}")


def warnings(settings: StandaloneSettings) -> Iterator[str]:
    """What an operator should know about the settings before it runs."""
    if settings.ignored:
        yield f"these keys are kept and mean nothing here: {', '.join(settings.ignored)}"
    if settings.wants_rocksdb:
        yield f"storage.type = rocksdb: the database is ours, {settings.database}; one of the original isn't read"
    if settings.temporary:
        yield "storage.type = memory: all accounts and tokens are gone when it ends"
