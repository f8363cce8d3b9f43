"""Files that code writes and people read: committed, and checked to say what the code says."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Generated:
    """A folder that belongs to `python -m MODULE generate`; `render` returns the path below it -> text."""

    module: str
    folder: Path
    render: Callable[[], Mapping[str, str]]

    def drifted(self) -> list[str]:
        """Return the files that do not say what the code says, missing and left-over ones too."""
        expected = self.render()
        present = {self._name(path): path.read_text(encoding="utf-8") for path in self._files()}
        return sorted(name for name in {*expected, *present} if expected.get(name) != present.get(name))

    def generate(self) -> None:
        """Write every file and remove those about nothing."""
        expected = self.render()
        for path in self._files():
            if self._name(path) not in expected:
                path.unlink()
        for name, text in expected.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text, encoding="utf-8")

    def main(self, arguments: list[str]) -> int:
        """Run one verb and return the exit code: 0 done, 1 drifted, 2 usage."""
        match arguments:
            case ["generate"]:
                self.generate()
                return 0
            case ["check"]:
                names = self.drifted()
                if names:
                    sys.stderr.write(f"{', '.join(names)}: out of date, run `python -m {self.module} generate`\n")
                return 1 if names else 0
            case _:
                sys.stderr.write(f"usage: python -m {self.module} generate | check\n")
                return 2

    def _files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()
