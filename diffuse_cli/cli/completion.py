"""Completion in bash, which takes `file:points.csv` and `key=value` apart at their marks."""

import os

from click.shell_completion import BashComplete, CompletionItem, add_completion_class, split_arg_string

_MARKS = ":="  # bash begins a new word at each of these, and replaces only the last word


def join_words(words: list[str], current: int) -> tuple[list[str], int]:
    """The words of a command line as they were typed, and the place of the current one among them.

    >>> join_words(["diffuse", "train", "--dataset", "file", ":", "po"], 5)
    (['diffuse', 'train', '--dataset', 'file:po'], 3)
    """
    joined: list[str] = []
    place = 0
    for number, word in enumerate(words):
        after_mark = number > 0 and words[number - 1] != "" and words[number - 1][-1] in _MARKS
        if joined and number > 1 and (after_mark or (word != "" and word[0] in _MARKS)):
            joined[-1] += word
        else:
            joined.append(word)
        if number == current:
            place = len(joined) - 1
    return joined, place


class MarkedBashComplete(BashComplete):
    """click's completion for bash, for words that hold a colon or an equals sign."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The arguments before the current word, and that word."""
        words, current = split_arg_string(os.environ["COMP_WORDS"]), int(os.environ["COMP_CWORD"])
        if current == len(words):  # an empty word at the end is not among the words
            words.append("")
        words, place = join_words(words, current)
        self._incomplete = words[place]
        return words[1:place], words[place]

    def format_completion(self, item: CompletionItem) -> str:
        """A line for the shell, without what stands before the last mark of the current word."""
        typed = max(self._incomplete.rfind(mark) for mark in _MARKS) + 1
        return f"{item.type},{item.value[typed:]}"


def install() -> None:
    """Let click use it."""
    add_completion_class(MarkedBashComplete, "bash")
