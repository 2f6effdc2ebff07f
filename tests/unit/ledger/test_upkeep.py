from tests.cast import Story, deliver


def test_a_valid_operation_above_a_void_one_covers_what_lies_below_both() -> None:
    story = Story("ann", "bob", "cat")
    removal = story.founder.remove(story["bob"])
    first = story["ann"].write()
    story["bob"].hear([first])
    void = story["bob"].write()
    story["cat"].hear([first, void])
    last = story["cat"].write()

    replica = deliver(None, [*story.said, removal, first, void])
    before = replica.heads()
    replica.add(last)

    assert not replica.verdict(void.operation_id).valid
    assert set(before) == {removal.operation_id, first.operation_id}
    assert set(replica.heads()) == {removal.operation_id, last.operation_id}


def test_after_a_fork_the_last_operation_is_the_one_of_the_greatest_number() -> None:
    story = Story("ann")
    here, there = story["ann"], deliver(None, story.said)
    longer = [here.write("1"), here.write("2")]
    here.replica = there
    shorter = here.write("3")

    replica = deliver(None, [*story.said, *longer, shorter])

    last = replica.last_of(here.key)
    assert last is not None
    assert last.operation_id == longer[-1].operation_id
