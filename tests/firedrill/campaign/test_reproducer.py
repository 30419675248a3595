import ast

from firedrill.campaign.reproducer import as_pytest


def test_the_text_of_a_scenario_arrives_as_it_is() -> None:
    yaml = 'name: odd\nbecause: "a \\\\ and \\"\\"\\" inside"\n'
    tree = ast.parse(as_pytest("odd-one", 'It says """.', yaml))
    (scenario,) = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    assert ast.literal_eval(scenario) == yaml
    assert [node.name for node in tree.body if isinstance(node, ast.FunctionDef)] == ["test_odd_one"]
