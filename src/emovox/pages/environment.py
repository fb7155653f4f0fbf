"""What every HTML page of emovox is filled by."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def make_page_environment(package: str) -> Environment:
    """Make the environment for a package's templates: values escaped, unknown names refused.

    Args:
        package: Where a folder ``templates`` lies, such as ``"emovox.report"``.

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
