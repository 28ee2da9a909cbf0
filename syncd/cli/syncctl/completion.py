"""`syncctl completion SHELL`: the script that completes commands, options and pair names."""

import click

from syncd.cli.syncctl.app import App, command


@command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(app: App, shell: str) -> None:
    """Print the completion script of SHELL.

    bash: eval "$(syncctl completion bash)" in ~/.bashrc
    """
    from click.shell_completion import get_completion_class

    from syncd.cli.syncctl.group import cli

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"no completion for {shell}")
    app.out.stream.write(found(cli, {}, "syncctl", "_SYNCCTL_COMPLETE").source() + "\n")
