"""The wheel holds a library of one platform, and runs with every Python 3 there."""

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.dist import Distribution


class OfOnePlatform(Distribution):
    def has_ext_modules(self) -> bool:
        return True


class ForEveryPython(bdist_wheel):
    def get_tag(self) -> tuple[str, str, str]:
        _, _, platform = super().get_tag()
        return "py3", "none", platform


setup(distclass=OfOnePlatform, cmdclass={"bdist_wheel": ForEveryPython})
