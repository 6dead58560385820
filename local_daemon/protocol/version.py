"""The software's version and the wire's; the latter moves only when the two sides could misunderstand each other."""

__version__ = "0.1.0"
PROTOCOL_VERSION = 1
