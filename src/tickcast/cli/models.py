"""`tickcast models`: what was learnt, what serves, and how that is changed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickcast.cli.common import add_json, add_settings, print_json, say, settings_of, table

if TYPE_CHECKING:
    from tickcast.config import Settings
    from tickcast.registry.evidence import Paired
    from tickcast.registry.gate import Verdict
    from tickcast.registry.manifest import Manifest
    from tickcast.registry.promote import Comparison
    from tickcast.registry.shelf import Shelf

EPILOG = """examples:
  tickcast models list
  tickcast models show volatility champion
  tickcast models compare volatility v1 v2
  tickcast models promote volatility v2
  tickcast models rollback volatility --reason "coverage fell"
"""
TASKS = ("price", "direction", "volatility")
_VERSION = "a version (v2-blend), its number (v2), champion, challenger or newest"
_RULES = ("min_outcomes", "min_days", "level", "cooldown_hours")


def add(parser: argparse.ArgumentParser) -> None:
    """The command's own commands and their flags."""
    parser.epilog = EPILOG
    parser.set_defaults(action="list", task=None, json=False)
    commands = parser.add_subparsers(dest="action", metavar="ACTION", help="default: list")
    _command(commands, "list", "all versions, and which of them serve", "list --task volatility", task="flag")
    one = _command(commands, "show", "one version in full; its files are verified", "show volatility newest")
    one.add_argument("version", nargs="?", default="champion", help=f"{_VERSION} (default: champion)")
    two = _command(commands, "compare", "two versions on the same test rows", "compare volatility v1 v2")
    two.add_argument("first", metavar="A", help=_VERSION)
    two.add_argument("second", metavar="B", help=_VERSION)
    _add_promote(_command(commands, "promote", "let the gate judge a version; if it passes, it serves", _PROMOTE))
    back = _command(commands, "rollback", "put the champion before this one back", 'rollback price --reason "drift"')
    back.add_argument("--reason", required=True, metavar="TEXT", help="why; it is recorded")
    beside = _command(commands, "challenge", "which versions run beside the champion", "challenge price v2 v3")
    beside.add_argument("versions", nargs="*", metavar="VERSION", help=f"{_VERSION} (none: nobody)")
    beside.add_argument("--reason", default="", metavar="TEXT", help="why; it is recorded")
    old = _command(commands, "register", "bring bundles onto the shelf and into MLflow", "register", task="")
    old.add_argument("directories", nargs="*", type=Path, metavar="DIR", help="bundles (default: all on the shelf)")
    _command(commands, "audit", "who changed what, when and why; verified", "audit --task price", task="flag")


_PROMOTE = 'promote price v2\n  tickcast models promote price v2 --force --reason "the gate lacks live outcomes"'


def _command(commands: Any, name: str, line: str, example: str, task: str = "place") -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name,
        help=line,
        description=line[0].upper() + line[1:] + ".",
        epilog=f"example:\n  tickcast models {example}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if task == "place":
        made.add_argument("task", choices=TASKS, help=", ".join(TASKS))
    elif task:
        made.add_argument("--task", choices=TASKS, help="only this task (default: all)")
    add_settings(made, "data_dir", "models_dir", "mlflow_uri")
    add_json(made)
    return made


def _add_promote(made: argparse.ArgumentParser) -> None:
    made.add_argument("version", help=_VERSION)
    made.add_argument("--force", action="store_true", help="promote whatever the gate says; needs --reason")
    made.add_argument("--reason", default="", metavar="TEXT", help="why it is forced; it is recorded")
    made.add_argument("--candidates", type=int, default=0, metavar="N", help="how many were tried for this one place")
    made.add_argument("--min-outcomes", type=int, metavar="N", help="outcomes needed (default: 500)")
    made.add_argument("--min-days", type=float, metavar="N", help="days they must span (default: 1)")
    made.add_argument("--level", type=float, metavar="P", help="how sure the gain must be (default: 0.995)")
    made.add_argument("--cooldown-hours", type=float, metavar="N", help="rest after a change (default: 24)")


def run(args: argparse.Namespace) -> int:
    """Do the one that was asked for."""
    settings = settings_of(args)
    from tickcast.config import user
    from tickcast.registry.shelf import Shelf

    shelf = Shelf(settings.models, who=user())
    actions = {
        "list": _list, "show": _show, "compare": _compare, "promote": _promote, "rollback": _rollback,
        "challenge": _challenge, "register": _register, "audit": _audit,
    }  # fmt: skip
    return actions[args.action or "list"](args, settings, shelf)


def _list(args: argparse.Namespace, settings: Settings, shelf: Shelf) -> int:  # noqa: ARG001 - all are called alike
    from tickcast.clock import utc_text
    from tickcast.errors import BundleError

    found: list[dict[str, Any]] = []
    for task in [args.task] if args.task else TASKS:
        aliases = shelf.aliases(task)
        for version in shelf.versions(task):
            alias = "champion" if version == aliases.champion else "challenger" * (version in aliases.challengers)
            row: dict[str, Any] = {"task": task, "version": version, "alias": alias}
            try:
                made = shelf.manifest(task, version)
            except BundleError as exc:
                found.append(row | {"fault": exc.what})
                continue
            content = made.content
            row |= {"created": utc_text(made.created_ms), "rows": content.rows, "to": utc_text(content.to_ms)}
            found.append(row | {"horizon_seconds": content.task.horizon_seconds, "hash": made.hash})
    if args.json:
        print_json({"models": found})
    elif not found:
        print(f"no models under {shelf.root}; train one with `tickcast train`")
    else:
        columns = ["task", "version", "alias", "created", "rows", "to", "hash"]
        cells = [[row["task"], row["version"], row["alias"], *_rest(row)] for row in found]
        table("models", columns, cells)
    return 0


def _rest(row: dict[str, Any]) -> list[object]:
    if "fault" in row:
        return ["damaged", "", "", row["fault"]]
    return [row["created"], row["rows"], row["to"], row["hash"][:12]]


def _show(args: argparse.Namespace, settings: Settings, shelf: Shelf) -> int:
    import msgspec

    from tickcast.clock import utc_text
    from tickcast.registry.tracking import flat

    version = shelf.resolve(args.task, args.version)
    made = shelf.load(args.task, version).manifest
    if args.json:
        print_json(msgspec.to_builtins(made))
        return 0
    content = made.content
    rows: list[list[object]] = [
        ["kind", content.kind],
        ["horizon", f"{content.task.horizon_seconds} s, candles of {content.candle_seconds} s"],
        ["learned from", ", ".join(content.keys)],
        ["range", f"{utc_text(content.from_ms)} to {utc_text(content.to_ms)}, {content.rows:,} rows"],
        ["features", f"{len(content.names)} of set {content.feature_set}"],
        ["parameters", ", ".join(f"{name} {value}" for name, value in content.params.items())],
        ["seed, trials", f"{content.seed}, {content.trials}"],
        ["made", f"{utc_text(made.created_ms)} by {made.created_by}, code {content.code_version}"],
        ["hash", made.hash],
        ["files", ", ".join(f"{name} {entry.bytes:,} B" for name, entry in content.files.items())],
    ]
    rows += [[name, f"{value:.6g}"] for name, value in list(flat(content.metrics).items())[:40]]
    table(f"{args.task}/{version}: all files are as they were written", ["", "what"], rows)
    _warn_of_flow(settings, shelf, args.task, version)
    return 0


def _compare(args: argparse.Namespace, settings: Settings, shelf: Shelf) -> int:  # noqa: ARG001
    import msgspec

    from tickcast.registry.promote import compare

    first, second = shelf.resolve(args.task, args.first), shelf.resolve(args.task, args.second)
    found = compare(shelf, args.task, first, second)
    if args.json:
        print_json(msgspec.to_builtins(found))
        return 0
    held = (found.coverage_first, found.coverage_second)
    rows: list[list[object]] = [
        ["loss", *(f"{loss:.6g}" for loss in (found.loss_first, found.loss_second, found.loss_naive))],
        ["skill", *(f"{1 - loss / found.loss_naive:+.2%}" for loss in (found.loss_first, found.loss_second)), ""],
        ["coverage", *("" if one is None else f"{one:.1%}" for one in held), ""],
    ]
    table(f"{args.task}, {found.rows:,} common test rows", ["", first, second, "naive"], rows)
    print(_told(found))
    return 0


def _told(found: Comparison) -> str:
    if found.gain_low is None or found.gain_high is None:
        return f"which is better can not be told: {found.note}"
    better = found.second if found.gain_low > 0 else found.first if found.gain_high < 0 else ""
    said = f"{better} is better by more than luck" if better else "the difference may be luck"
    luck = "" if found.p_value is None else f", Diebold-Mariano p = {found.p_value:.3g}"
    bounds = f"between {found.gain_low:+.3g} and {found.gain_high:+.3g}"
    return f"{said}: gain of {found.second} {found.gain:+.3g}, {bounds}{luck}"


def _promote(args: argparse.Namespace, settings: Settings, shelf: Shelf) -> int:
    import msgspec

    from tickcast.errors import ConfigError
    from tickcast.registry.gate import GateRules
    from tickcast.registry.promote import promote

    if args.force and not args.reason.strip():
        raise ConfigError("--force", "was given without a reason, so nothing was changed", "say why with --reason")
    if args.level is not None and not 0.5 <= args.level < 1.0:
        raise ConfigError("--level", f"was {args.level}, so nothing was changed", "give a number from 0.5 to below 1")
    if args.candidates < 0:
        raise ConfigError("--candidates", f"was {args.candidates}, nothing was changed", "give zero or more")
    version = shelf.resolve(args.task, args.version)
    asked = {name: value for name in _RULES if (value := getattr(args, name)) is not None}
    aliases = shelf.aliases(args.task)
    rivals = len(aliases.challengers) if version in aliases.challengers else 1
    found = promote(
        shelf, args.task, version,
        rules=GateRules(**asked), live=_live(settings, shelf, args.task, version, aliases.champion),
        candidates=args.candidates or rivals, force_reason=args.reason if args.force else "",
    )  # fmt: skip
    if args.json:
        print_json(msgspec.to_builtins(found))
    else:
        _show_verdict(f"{args.task}/{version} on {found.evidence}", found.verdict)
        before = f" in place of {found.version_from}" if found.version_from else ""
        print(
            f"{version} is champion of {args.task} now{before}{', by force' * found.forced}"
            if found.promoted
            else f"not promoted: {found.verdict.sentence}"
        )
    if found.promoted:
        _warn_of_flow(settings, shelf, args.task, version)
        _follow(settings, shelf, args.task)
    return 0 if found.promoted else 1


def _rollback(args: argparse.Namespace, settings: Settings, shelf: Shelf) -> int:
    import msgspec

    from tickcast.registry.promote import rollback

    found = rollback(shelf, args.task, args.reason)
    if args.json:
        print_json(msgspec.to_builtins(found))
    else:
        print(f"{found.version_to} is champion of {args.task} again, in place of {found.version_from}")
        print(found.verdict.sentence)
    _follow(settings, shelf, args.task)
    return 0


def _challenge(args: argparse.Namespace, settings: Settings, shelf: Shelf) -> int:
    import msgspec

    versions = tuple(shelf.resolve(args.task, version) for version in args.versions)
    after = shelf.challenge(args.task, versions, args.reason)
    if args.json:
        print_json(msgspec.to_builtins(after))
    else:
        print(f"{args.task}: champion {after.champion or 'none'}, beside it {', '.join(after.challengers) or 'nobody'}")
    _follow(settings, shelf, args.task)
    return 0


def _register(args: argparse.Namespace, settings: Settings, shelf: Shelf) -> int:
    import msgspec

    from tickcast.cli.common import progress
    from tickcast.registry.tracking import RunRecord, told_of, tracker_for

    made: list[Manifest] = [shelf.adopt(directory) for directory in args.directories]
    if not args.directories:
        made = [shelf.manifest(task, version) for task in TASKS for version in shelf.versions(task)]
    tracker, told, fault = tracker_for(settings), [], ""
    with progress("registering", len(made)) as step:
        for done, manifest in enumerate(made, start=1):
            path = shelf.path(manifest.task, manifest.version)
            tracked = tracker.track(RunRecord(manifest=manifest, directory=path))
            told.append({"task": manifest.task, "version": manifest.version} | msgspec.to_builtins(tracked))
            if not args.json and not tracked.fault:
                print(told_of(tracked, manifest))
            if fault := tracked.fault:
                break  # what does not answer once is not waited for once more a bundle
            step(done)
    for task in sorted({manifest.task for manifest in made}) if not fault else ():
        _follow(settings, shelf, task)
    if args.json:
        print_json({"registered": told, "fault": fault})
    elif not made:
        print(f"no models under {shelf.root}, so there is nothing to register")
    if fault:
        say(f"tickcast models: {fault}.")
    return 2 if fault else 0


def _audit(args: argparse.Namespace, settings: Settings, shelf: Shelf) -> int:  # noqa: ARG001
    import msgspec

    from tickcast.clock import utc_text
    from tickcast.registry import audit

    trail = audit.read(shelf.root)
    entries = [entry for entry in trail.entries if args.task in (None, entry.task)]
    if args.json:
        told = {"entries": entries, "faults": trail.faults, "torn_bytes": trail.torn_bytes}
        print_json(msgspec.to_builtins(told))
    else:
        rows: list[list[object]] = [
            [utc_text(one.time_ms), one.who, one.action, one.task, one.version_from, one.version_to, one.reason]
            for one in entries
        ]
        table("audit trail", ["time", "who", "did", "task", "from", "to", "why"], rows)
        torn = f"; a torn line of {trail.torn_bytes} bytes at the end is left out" if trail.torn_bytes else ""
        print(f"{len(trail.entries)} lines, {'the chain is whole' if not trail.faults else 'NOT as written'}{torn}")
    for fault in trail.faults:
        say(f"tickcast models: {shelf.root / audit.AUDIT_FILE}: {fault}.")
    return 2 if trail.faults else 0


def _live(settings: Settings, shelf: Shelf, task: str, version: str, champion: str) -> Paired | None:
    """Outcomes that have matured in the store; a store that is not there or does not answer has none to give."""
    from tickcast.errors import TickcastError
    from tickcast.registry import live
    from tickcast.runners.ask import ask
    from tickcast.runners.datadir import STORE_FILE
    from tickcast.store.wire import MAX_ROWS

    if not (settings.data_dir / STORE_FILE).is_file():
        return None
    told = shelf.manifest(task, version).content.task
    try:
        answer = ask(settings.data_dir, live.question(told, version, champion), limit=MAX_ROWS)
        withheld = ask(settings.data_dir, live.withheld_question(told, version))
    except TickcastError as exc:
        say(f"tickcast models: live outcomes were not read: {exc}")
        return None
    return live.paired_of(told, answer, withheld, champion)


def _show_verdict(title: str, verdict: Verdict) -> None:
    rows: list[list[object]] = [
        [check.name, "" if check.value is None else f"{check.value:.4g}", check.wanted,
         "yes" if check.passed else "NO", check.sentence]
        for check in verdict.checks
    ]  # fmt: skip
    table(title, ["check", "value", "wanted", "passed", "in words"], rows)


def _warn_of_flow(settings: Settings, shelf: Shelf, task: str, version: str) -> None:
    """Say so when a flow of these settings would refuse it."""
    from tickcast.errors import BundleError

    try:
        shelf.load(task, version, flow=settings.flow)
    except BundleError as exc:
        say(f"tickcast models: a flow of the present settings would refuse it: {exc}")


def _follow(settings: Settings, shelf: Shelf, task: str) -> None:
    """Let MLflow's aliases follow, where there is an MLflow."""
    from tickcast.registry.tracking import tracker_for

    if not settings.mlflow_uri and not (settings.data_dir / "mlflow.db").is_file():
        return
    if told := tracker_for(settings).follow(task, shelf.aliases(task)):
        say(f"tickcast models: {told}.")
