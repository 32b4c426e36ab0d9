"""What a stream cannot return: that the file it reads is none."""

from muster.customer.domain.refusal import Refusal


class FileRefused(Exception):
    """The file as a whole cannot be read; `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal

    @classmethod
    def of(cls, code: str, message: str) -> "FileRefused":
        """One with the reason in these words."""
        return cls(Refusal("file", code, message))
