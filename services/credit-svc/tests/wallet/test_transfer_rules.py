"""The pure rules of transfers: whatever is granted, moved and taken back, two accounts balance, alone and together."""

from dataclasses import replace
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from muster.credit.domain.account import Account
from muster.credit.domain.top_ups import Granted, GrantStep, TopUp, grant, take_back, take_back_part
from muster.credit.domain.transfers import Transfer, TransferStep, transfer

RESELLER, SHOP = UUID(int=1), UUID(int=2)
steps = st.lists(
    st.tuples(st.sampled_from(["grant", "move", "back", "part"]), st.booleans(), st.integers(1, 60)), max_size=25
)


@given(steps)
def test_two_accounts_balance_alone_and_together_after_every_step(story: list[tuple[str, bool, int]]) -> None:
    accounts = {RESELLER: Account(RESELLER), SHOP: Account(SHOP, parent_id=RESELLER)}
    grants: list[Granted] = []
    for number, (what, by_shop, much) in enumerate(story):
        one, other = (SHOP, RESELLER) if by_shop else (RESELLER, SHOP)
        step: object = None
        if what == "grant":
            step = grant(accounts[one], None, TopUp(one, UUID(int=number + 9), much))
        elif what == "move":
            order = Transfer(one, UUID(int=number + 9), one, other, much)
            step = transfer(accounts[one], accounts[other], None, order, by_operator=False)
        elif grants:
            known = grants.pop(much % len(grants))
            account = accounts[known.top_up.tenant_id]
            step = (
                take_back(account, known, "x", "x")
                if what == "back"
                else take_back_part(account, known, known.taken + much, "x", "x", "x")
            )
        if isinstance(step, GrantStep):
            grants.append(step.granted)
            if step.entry is not None:
                accounts[step.entry.account.tenant_id] = step.entry.account
        if isinstance(step, TransferStep):
            accounts |= {entry.account.tenant_id: entry.account for entry in step.entries}
        assert all(account.conservation == 0 for account in accounts.values())
        assert all(min(account.available, account.owed) == 0 for account in accounts.values())
        assert sum(account.granted for account in accounts.values()) == sum(
            known.top_up.credits - known.taken for known in grants
        ), "what is granted in all is what was granted and not taken back"


@given(st.integers(1, 100))
def test_a_transfer_that_was_made_is_answered_the_same_and_moves_nothing_more(much: int) -> None:
    rich = Account(RESELLER, granted=100, available=100)
    order = Transfer(RESELLER, UUID(int=9), RESELLER, SHOP, much, "May", "ada")
    made = transfer(rich, Account(SHOP, parent_id=RESELLER), None, order, by_operator=False)
    assert isinstance(made, TransferStep)

    again = transfer(None, None, made.transferred, replace(order, actor="bob"), by_operator=False)

    assert again == TransferStep(made.transferred)
