"""`featherhq completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from featherhq._cli.output import json_option, output


@click.command
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@json_option
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that completes commands and options in your shell.

    \b
    bash:  echo 'eval "$(featherhq completion bash)"' >> ~/.bashrc
    zsh:   echo 'eval "$(featherhq completion zsh)"' >> ~/.zshrc
    fish:  featherhq completion fish > ~/.config/fish/completions/featherhq.fish
    """  # noqa: D301 - click reads this \b
    program = context.find_root()
    name = str(program.info_name)
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has these three
    script = kind(program.command, {}, name, f"_{name.upper()}_COMPLETE").source()
    output(context).result(script, {"shell": shell, "script": script})
