"""The `preprocessing_fn` that TFX's Transform imports: it loads the user's file by path and calls theirs.

So the user's code is never packaged into a wheel at run time, and Transform needs no module_file.
"""

from typing import Any

from components import user_code


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, str]) -> dict[str, Any]:
    """Calls `preprocessing_fn` of the file `custom_config["module_file"]`.

    `custom_config` also carries the fingerprint of the user's source; it only has to be in Transform's cache key.
    """
    module = user_code.load(custom_config["module_file"])
    return getattr(module, user_code.PREPROCESSING)(inputs)
