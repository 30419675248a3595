from tolaria.catalogue import BLUEPRINT_ABOUT, BLUEPRINT_NAMES, FOLDER_TASK_NAMES, TASK_ABOUT
from tolaria.host.blueprints import BLUEPRINTS
from tolaria.tasks import FOLDER_TASKS, TASKS


def test_every_blueprint_is_listed_under_its_family() -> None:
    listed = {(family, name) for family, names in BLUEPRINT_NAMES.items() for name in names}
    assert listed == {(blueprint.family, name) for name, blueprint in BLUEPRINTS.items()}
    assert sum(map(len, BLUEPRINT_NAMES.values())) == len(BLUEPRINTS)


def test_blueprints_are_described_in_the_same_words() -> None:
    assert {name: blueprint.about for name, blueprint in BLUEPRINTS.items()} == BLUEPRINT_ABOUT


def test_every_task_is_described() -> None:
    assert list(TASK_ABOUT) == [*TASKS, *FOLDER_TASKS]
    assert list(FOLDER_TASK_NAMES) == list(FOLDER_TASKS)
