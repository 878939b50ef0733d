"""A login is looked up among the logins that the fleet file lists, and nowhere else."""

import pytest

from contracts.people import Person
from contracts.review import ReviewPolicy
from policies.reviewers import by_login, is_nobody
from review.identity import person_of
from review.sessions import Login

PEOPLE = {"ana": Person(subjects=("ana@example.com",)), "bo": Person()}


def test_a_listed_login_is_its_person() -> None:
    assert by_login(("00u1", "ana@example.com"), PEOPLE) == "ana"


@pytest.mark.parametrize("login", ["bo", "ana", "BO", "bo@example.com", "", "bo (nobody's login)"])
def test_a_login_that_reads_like_a_persons_name_is_nobody(login: str) -> None:
    found = by_login((login,), PEOPLE)
    assert found not in PEOPLE
    assert is_nobody(found)


def test_without_people_the_login_is_the_name() -> None:
    assert by_login(("ana@example.com",), {}) == "ana@example.com"
    assert is_nobody(by_login((), {}))


def test_the_page_takes_nobody_for_another_by_what_an_issuer_calls_them() -> None:
    review = ReviewPolicy(people=PEOPLE)
    said = {
        Login("bo", "logged in by https://login.example.com", "https://login.example.com"): "bo (nobody's login)",
        Login("ana@example.com", "logged in by https://login.example.com", "https://login.example.com"): "ana",
        Login("bo", "one-time link"): "bo",
    }
    assert {login: person_of(login, review) for login in said} == said
