"""Template environment of emovox's HTML pages."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def make_page_environment(package: str) -> Environment:
    """Create the environment for a package's templates; values are escaped, undefined names fail.

    Args:
        package: Package with a ``templates`` folder, such as ``"emovox.report"``.

    Examples:
        >>> make_page_environment("emovox.report").autoescape
        True
    """
    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
