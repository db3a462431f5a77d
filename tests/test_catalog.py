"""The grammar of choices, and that every entry in the catalogue can be made."""

import inspect
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffuse_cli import catalog
from diffuse_cli.errors import UsageError

ENTRIES = [(kind, name) for kind, entries in catalog.CATALOG.items() for name in entries]


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_entry_has_a_factory_with_checked_options(kind, name):
    choice = catalog.parse(kind, name)
    made_by = catalog.factory(choice)
    assert inspect.getdoc(made_by)
    for option in catalog.options_of(made_by).values():
        assert option.annotation is not inspect.Parameter.empty
    with pytest.raises(UsageError, match="unknown option of"):
        catalog.convert_options(choice._replace(options={"no_such_option": "1"}))
    main = catalog.CATALOG[kind][name].main
    assert main is None or main in catalog.options_of(made_by)


@pytest.mark.parametrize(
    ("kind", "text", "name", "options"),
    [
        ("sampler", "ddim", "ddim", {}),
        ("sampler", " ddim:eta=0.5 ", "ddim", {"eta": "0.5"}),
        ("sampler", "ddim:0.5", "ddim", {"eta": "0.5"}),
        ("dataset", "swiss-roll:dim=3,noise=0.1", "swiss_roll", {"dim": "3", "noise": "0.1"}),
        ("dataset", "file:points.csv", "file", {"path": "points.csv"}),
        ("dataset", "file:a,b.csv", "file", {"path": "a,b.csv"}),
        (
            "dataset",
            "file:/home/me/my points.csv,header=no",
            "file",
            {"path": "/home/me/my points.csv", "header": "no"},
        ),
        ("dataset", "file:path=C:\\points.csv", "file", {"path": "C:\\points.csv"}),
        ("dataset", 'file:"a, b=1.csv",header=no', "file", {"path": "a, b=1.csv", "header": "no"}),
        ("dataset", 'file:path="it ""is"".csv"', "file", {"path": 'it "is".csv'}),
        ("dataset", 'file:say "a".csv', "file", {"path": 'say "a".csv'}),
        (
            "dataset",
            'file:p.csv,delimiter=",",columns="a, b+c"',
            "file",
            {"path": "p.csv", "delimiter": ",", "columns": "a, b+c"},
        ),
        ("schedule", "table:0.1,0.2", "table", {"betas": "0.1,0.2"}),
        ("sampler", "mine.samplers:best", "mine.samplers:best", {}),
        ("sampler", "mine.samplers:best:eta=1", "mine.samplers:best", {"eta": "1"}),
    ],
)
def test_grammar(kind, text, name, options):
    choice = catalog.parse(kind, text)
    assert (choice.name, choice.options, choice.own) == (name, options, "." in name)
    assert catalog.parse(kind, str(choice)) == choice


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        ("sampler", "dimm", "did you mean 'ddim'"),
        ("sampler", "zzz", "Known: ddpm, ddim"),
        ("sampler", "", "unknown sampler ''"),
        ("schedule", "linear:start", "'start' is not key=value"),
        ("schedule", "linear:=3", "is not key=value"),
        ("schedule", "linear:start=", "is not key=value"),
        ("schedule", "linear:start=1e-4,start=1e-3", "given twice"),
        ("sampler", "mine.samplers", "module.path:factory"),
    ],
)
def test_bad_grammar(kind, text, says):
    with pytest.raises(UsageError) as error:
        catalog.parse(kind, text)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        ("sampler", "ddim:eta=2", "eta=2"),
        ("sampler", "ddim:eta=high", "eta=high"),
        ("sampler", "ddim:eta=nan", "eta=nan"),
        ("sampler", "ddim:etta=1", "did you mean 'eta'"),
        ("sampler", "ddpm:medium", "small, large"),
        ("dataset", "file", "file needs path"),
        ("dataset", "moons:noise=-1", "noise=-1"),
        ("dataset", "moons:noise=inf", "noise=inf"),
        ("dataset", "swiss_roll:dim=4", "dim=4"),
        ("sampler", "no.such.module:thing", "no.such.module:thing"),
        ("sampler", "os.path:nothing", "nothing"),
    ],
)
def test_bad_options(kind, text, says):
    with pytest.raises(UsageError) as error:
        catalog.build(kind, text)
    assert says in str(error.value)


def test_own_code_is_imported_from_where_the_user_stands(tmp_path, monkeypatch):
    (tmp_path / "workshop").mkdir()
    (tmp_path / "workshop" / "mine.py").write_text("def half(*, eta: float = 0.5):\n    return ('made', eta)\n")
    monkeypatch.chdir(tmp_path)
    assert catalog.build("sampler", "workshop.mine:half") == ("made", 0.5)
    assert catalog.build("sampler", "workshop.mine:half:eta=0.25") == ("made", 0.25)


def test_own_code_needs_trust_when_a_file_names_it():
    with pytest.raises(UsageError, match="--trust"):
        catalog.build("sampler", "workshop.mine:half", trust=False)


names = st.text(string.ascii_letters + "_", min_size=1).filter(str.isidentifier)
values = st.text(string.ascii_letters + string.digits + ".-/", min_size=1)


@given(options=st.dictionaries(names, values, max_size=4))
def test_what_is_written_is_read_back(options):
    choice = catalog.Choice("schedule", "linear", options)
    assert catalog.parse("schedule", str(choice)) == choice
