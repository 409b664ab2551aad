"""Errors that a user can mend: commands print their message without a traceback and exit with status 1."""


class PixelPlayError(Exception):
    """Base of the errors below. The message names the bad value, where it came from and what to do."""


class ConfigError(PixelPlayError):
    """The configuration has an unknown key, a wrong type or an impossible value."""


class DataError(PixelPlayError):
    """The footage, its labels or a table of scores is not as it must be."""


class FootageError(DataError):
    """A video can't be read: other videos of the data set may be; see `dataset.on_unreadable`."""


class MissingArtifactError(PixelPlayError):
    """A stage needs what an earlier stage writes, and it is not there."""


class DamagedArtifactError(PixelPlayError):
    """What an earlier stage wrote can't be read; its record is gone, so that the same stage writes it again."""


class WeightsError(PixelPlayError):
    """Pretrained weights can't be had, or are not those of the network that is to be filled with them."""


class MissingPackageError(PixelPlayError):
    """The settings of a run need packages that are not installed."""


class InUseError(PixelPlayError):
    """Another process works on the same files."""
