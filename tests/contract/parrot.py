"""A helper process for tests: answers every frame with itself."""

from syncd.tree.local.helper import read_frame, streams, write_frame


def serve() -> None:
    requests, answers = streams()
    while True:
        write_frame(answers, read_frame(requests))


if __name__ == "__main__":
    serve()
