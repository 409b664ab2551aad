# The library's own type information is wrong or missing: everything in it counts as untyped.
from typing import Any

def __getattr__(name: str) -> Any: ...
