"""The rules that read a clause, as data: name, verdict, pattern; the first that matches decides the clause.

Patterns see " word word " in the canonical words of `words`, with repeated letters squeezed on both sides ("off" is
"of", "all" is
"al"), so they are written in plain English here and squeezed when compiled. Gaps are bounded, so that matching is
linear.
"""

import enum
import re
from typing import Final, NamedTuple

from muster.text.optout.words import fold, squeeze


class Verdict(enum.IntEnum):
    """What a reply asks for. UNCLEAR is held for a person."""

    NONE = 0
    OPT_OUT = 1
    OPT_IN = 2
    HELP = 3
    UNCLEAR = 4


class Rule(NamedTuple):
    name: str
    verdict: Verdict
    pattern: re.Pattern[str]


def _words(written: str) -> frozenset[str]:
    return frozenset(squeeze(fold(word)) for word in written.split())


# Keywords that mean nothing else, and those that in a salon's or a clinic's conversation may well (an appointment
# is cancelled).
STRONG: Final = _words(
    ""
    "stop stopall unsubscribe optout arret arrete arreter arretez стоп отписаться stopp abmelden"
    " abbestellen parar detener alto"
    " desabonner desabonnement desinscription stpo sotp tsop"
)
WEAK: Final = _words("cancel end quit revoke remove baja cancelar")
OPT_IN: Final = _words("start unstop optin subscribe resubscribe")
HELP: Final = _words("help info aide ayuda hilfe")

COURTESY: Final = _words(
    "please thanks now just kindly hi hello hey dear sir madam maam mate guys team everyone regards"
    " kind best right away asap"
    " immediately straight once again anymore already for god gods fuck fucks fucking bloody damn sake omg ffs"
    " reply text send here me us you bitte danke merci gracias por favor svp und"
)
# Beside a weak keyword these may answer a question about an appointment.
ANSWERS: Final = _words("yes yeah yep no nope ok okay k sorry today tomorrow oh well and so then")
OBJECTS: Final = _words("it this that these those them everything all")

_SENT: Final = "(?:text|contact|bother|send)"
_STOPS: Final = "(?:stop|stopall|quit|cease|end(?! of)|discontinue|halt)"
_NOUN: Final = "".join(
    f"(?<! {word})"
    for word in [
        "the",
        "a",
        "bus",
        "next",
        "last",
        "first",
        "tram",
        "train",
        "truck",
        "pit",
        "full",
        "our",
        "my",
        "each",
        "one",
    ]
)
_PLACE: Final = "(?! (?:by|at|in|over|off|on|near|outside|past|into|along|for|light|lights|sign|watch)\\b)"
_ME: Final = (
    "(?:me|us|my (?:number|name|details?|phone|cell|mobile|contact|info|information|data)|my \\w+ number"
    "|our number|this number|this phone)"
)
_LIST: Final = "(?:list|lists|database|system|mailing|records|directory|group|text|campaign)"
_PAUSES: Final = (
    "(?:before|after|until|till?|during|between|while|today|tomorrow|tonight|unless|so early|so late"
    "|this early|this late"
    "|at (?:work|night|home|\\d+)|in the|on (?:the )?(?:week|mon|tue|wed|thu|fri|sat|sun)\\w*)"
)
_NOT: Final = (
    "(?:dont|didnt|doesnt|not|never|cant|wont|wouldnt|shouldnt|couldnt|without|non|no need to|no reason to|no plan to)"
)
_NOT_LINKS: Final = (
    "(?: (?:you|to|ever|want|please|like|need|be|get|me|us|going|gonna|plan|planning|asking|trying|intend"
    "|mean|ask|just|actually"
    "|really|think|i|we|should|would|will|had|have|that|any|let|them|even|saying|said|say)){0,5}"
)
_RECEIVING: Final = (
    "(?: (?:to|you|be|get|getting|receive|receiving|recieve|have|having|hear|send|any|anymore|more|all"
    "|your|these|this|the|those"
    "|of|from|me|us|for|such|stupid|on|sort|kind|at|by|being|ever|again|in|up|a|keep|fucking)){0,8}"
)

_WRITTEN: Final[tuple[tuple[str, Verdict, str], ...]] = (
    # Says "not" and means "stop".
    (
        "insists",
        Verdict.OPT_OUT,
        f" (?:why|if|unless)(?: \\w+){{0,2}} (?:dont|wont|cant)(?: you| they)?(?: just| please| ever)? {_STOPS} ",
    ),
    ("insists", Verdict.OPT_OUT, f" (?:cant|wont|wouldnt|couldnt) you(?: please| just| all)? {_STOPS} "),
    ("asks_how", Verdict.OPT_OUT, " how(?: \\w+){0,3} (?:unsubscribe|optout) "),
    ("asks_how", Verdict.OPT_OUT, f" how(?: \\w+){{0,3}} stop(?: \\w+){{0,4}} {_SENT} "),
    ("complains", Verdict.UNCLEAR, f" you (?:never|wont|dont) stop(?: \\w+){{0,2}} {_SENT} "),
    (
        "cannot_opt_out",
        Verdict.UNCLEAR,
        " (?:cant|not able to|unable to|wont let me|not letting me) (?:unsubscribe|optout) ",
    ),
    (
        "by_mistake",
        Verdict.UNCLEAR,
        " (?:didnt|not|never) (?:mean|meant|intend|want|ask|asked)(?: \\w+){0,2} (?:unsubscribe|optout"
        "|be removed) ?(?:me|$)",
    ),
    (
        "by_mistake",
        Verdict.UNCLEAR,
        " (?:accident|accidentally|mistake|mistakenly)(?: \\w+){0,4} (?:stop|unsubscribe|optout) ",
    ),
    (
        "by_mistake",
        Verdict.UNCLEAR,
        " (?:stop|unsubscribe|optout)(?: \\w+){0,3} (?:accident|accidentally|mistake|mistakenly) ",
    ),
    (
        "asks_state",
        Verdict.UNCLEAR,
        " (?:was|am|have|did|are|were) (?:i|we)(?: \\w+){0,2} (?:unsubscribe|optout|removed) ",
    ),
    # Says "stop" and means "not".
    (
        "negated",
        Verdict.NONE,
        f" {_NOT}{_NOT_LINKS} (?:stop|stopping|stopall|unsubscribe|optout|remove|quit|cancel|end|delete"
        "|take me off)\\b",
    ),
    ("did_stop", Verdict.NONE, " (?:did|have|has|had) (?:you|they|he|she|it|we|i|the \\w+)(?: \\w+)? stop "),
    (
        "other_list",
        Verdict.UNCLEAR,
        " (?:take|remove|get|delete|cross)(?: \\w+){1,3} (?:off|from|of)(?: \\w+){0,3} (?:waitlist|waiting"
        "|wait|appointment|schedule|calendar|roster|booking|class|diary|standby|rota|shift) ",
    ),
    (
        "limited",
        Verdict.UNCLEAR,
        f" (?:dont|stop|not)(?: \\w+){{0,3}} (?:text|contact|bother)(?: \\w+){{0,3}} {_PAUSES} ",
    ),
    # Plain requests.
    (
        "other_optout",
        Verdict.UNCLEAR,
        " optout of (?!(?:your|these|this|all|any|text|the text|the list|receiving|getting|further|future|sms"
        "|marketing|everything)\\b)",
    ),
    ("unsubscribe", Verdict.OPT_OUT, " (?:unsubscribe|optout) "),
    ("stop_texts", Verdict.OPT_OUT, f"{_NOUN} {_STOPS}{_PLACE}(?: \\w+){{0,3}} {_SENT} "),
    ("stop_texts", Verdict.OPT_OUT, f"{_NOUN} {_STOPS} (?:calling|ringing|phoning|emailing|messing with) (?:me|us) "),
    (
        "stop_texts",
        Verdict.OPT_OUT,
        " (?:cancel|remove)(?: (?:all|my|the|these|any|your|future|this|from|me)){0,4} text ",
    ),
    (
        "stop_texts",
        Verdict.OPT_OUT,
        " (?:text|these|them|those)(?: (?:to|must|needs?|has|have|should|please|really|just|all|got|better"
        "|can)){0,4} stop $",
    ),
    ("do_not_text", Verdict.UNCLEAR, " dont text(?: me| us)? back "),
    (
        "do_not_text",
        Verdict.OPT_OUT,
        "(?:(?<! i)(?<! we)(?<! they)(?<! why)(?<! you)|(?<= told you)|(?<= tell you)|(?<= asked you)) dont"
        "(?: (?:you|ever|keep|be|even|dare|please|try|to|send|me|any|anymore|more|your|these|this|us|want"
        "|again|all)){0,5}"
        " (?:text|contact|bother(?= me| us))(?: (?:me|us|my|our|this|here|again|anymore|ever|please|thanks)\\b| $)",
    ),
    (
        "do_not_text",
        Verdict.OPT_OUT,
        "(?<! i)(?<! we) dont send(?: me| us)?(?: (?:any|anymore|more|text|this|these|it|them|anything|your"
        "|again|stuff|crap|shit|please|ever|thanks|to)){1,5} $",
    ),
    (
        "do_not_text",
        Verdict.OPT_OUT,
        "(?<! i)(?<! we)(?<! you)(?<! have)(?<! ive)(?<! they) never(?: (?:ever|again|send|me|any|please"
        "|to)){0,3} (?:text|contact|send|bother)(?: \\w+){0,2} (?:me|us|again|this|my|anymore|ever) ",
    ),
    (
        "do_not_want",
        Verdict.OPT_OUT,
        " (?:dont|nolonger|not|never|wouldnt)(?: really| even| ever| currently)? (?:want|like|need"
        f"|wanting){_RECEIVING} (?:text|contact|bother) ",
    ),
    (
        "do_not_want",
        Verdict.OPT_OUT,
        " (?:dont|nolonger|never) (?:want|like|need) to (?:hear from|receive|get) (?:you|this|these|your"
        "|anything|any|them|from)\\b",
    ),
    (
        "do_not_want",
        Verdict.OPT_OUT,
        f" (?:dont|nolonger) want(?: \\w+){{0,4}} (?:on|from|in|of) (?:your|this|the)(?: \\w+)? {_LIST} ",
    ),
    ("do_not_want", Verdict.OPT_OUT, " (?:dont|nolonger) want (?:these|those|them)(?: \\w+){0,2} $"),
    (
        "never_asked",
        Verdict.UNCLEAR,
        " (?:dont|didnt|not|never)(?: \\w+)? (?:consent|ask|asked|sign|signed|agree|agreed|authorise"
        "|subscribe|subscribed|optin|join|joined)\\b",
    ),
    (
        "no_more",
        Verdict.OPT_OUT,
        f" no more(?: (?:of|these|your|any|please|fucking|damn|such|stupid|the|this)){{0,4}} {_SENT} ",
    ),
    (
        "no_more",
        Verdict.OPT_OUT,
        "^(?: (?:ok|okay|please|hi|thanks|no))* no more(?: (?:please|thanks|of (?:this|these|that|them)))* $",
    ),
    ("no_more", Verdict.OPT_OUT, "^(?: please| hi)? no text(?: (?:please|thanks|anymore|to me|again|ever))* $"),
    ("no_more", Verdict.OPT_OUT, " enough(?: of)?(?: (?:these|your|the|with|this))* text "),
    (
        "off_the_list",
        Verdict.OPT_OUT,
        f" (?:take|get|want|keep|strike|cross) {_ME} (?:off|out|out of|from)(?: (?:your|this|the|these|all|any"
        f"|of|that|every)){{0,3}}(?: \\w+){{0,2}} {_LIST} ",
    ),
    (
        "off_the_list",
        Verdict.OPT_OUT,
        f" (?:take|get) {_ME} off(?: (?:please|thanks|now|this|it|here|that|asap|of|the|your))* $",
    ),
    ("off_the_list", Verdict.OPT_OUT, f"^(?: please)? off (?:your|the|this)(?: \\w+)? {_LIST} "),
    (
        "off_the_list",
        Verdict.OPT_OUT,
        " (?:i|id|ill|we|please)(?: (?:would|want|wanted|like|wish|need|just|to|prefer|please|really|rather)){0,5}"
        " (?:be|get) (?:removed|deleted|unlisted|taken off)"
        f"(?:(?: (?:please|thanks|now|asap))* $| (?:from|off)?(?: \\w+){{0,2}} {_LIST} )",
    ),
    ("off_the_list", Verdict.OPT_OUT, f" (?:taken|want|get me) off (?:your|this|the|these)(?: \\w+)? {_LIST} "),
    ("turn_off", Verdict.OPT_OUT, "(?<! dont)(?<! not)(?<! i) (?:turn|switch) off(?: \\w+){0,2} text "),
    (
        "remove_me",
        Verdict.OPT_OUT,
        f" (?:remove|delete|erase|lose|forget|unlist|block|removing|deleting) {_ME} (?!next\\b)",
    ),
    (
        "off_the_list",
        Verdict.OPT_OUT,
        f" (?:take|get|remove)(?: \\w+){{1,2}} (?:off|from)(?: (?:your|this|these))(?: \\w+)? {_LIST} ",
    ),
    (
        "off_the_list",
        Verdict.OPT_OUT,
        " (?:leave me off|get rid of my (?:number|details)|want out)(?: (?:of|your|the|this|text|list|please|now))* $",
    ),
    ("remove_me", Verdict.OPT_OUT, f" (?:remove|delete)(?: \\w+){{0,3}} from(?: \\w+){{0,2}} {_LIST} "),
    ("leave_alone", Verdict.OPT_OUT, " (?:leave (?:me|us) alone|cease and desist|piss off and stop) "),
    (
        "consent_revoked",
        Verdict.OPT_OUT,
        " (?:revoke|revoking|withdraw|withdrawing|cancel|retract|remove)(?: (?:all|any|my|our"
        "|the)){0,2} (?:consent|permission|authorisation|authorization) ",
    ),
    ("other_language", Verdict.OPT_OUT, " (?:arretez?|arreter)(?: \\w+){0,4} (?:text|envoyer|menvoyer|contacter) "),
    ("other_language", Verdict.OPT_OUT, " plus(?: \\w+){0,3} (?:recevoir|envoyer|menvoyer|contacter|me contacter) "),
    (
        "other_language",
        Verdict.OPT_OUT,
        " (?:desabonnez|desinscrivez|desabonner|desinscrire|desinscription|abbestellen|abmelden|austragen) ",
    ),
    (
        "other_language",
        Verdict.OPT_OUT,
        " (?:no (?:quiero|mas|deseo|me)(?: \\w+){0,3} (?:mensajes|recibir|text|enviar|envien|manden|escriban)"
        "|darme de baja|dar de baja) ",
    ),
    (
        "other_language",
        Verdict.OPT_OUT,
        " (?:keine|nicht mehr)(?: \\w+){0,2} (?:text|nachrichten|nachricht|werbung|kontaktieren|schreiben) ",
    ),
    # Wants them back.
    ("asks_for_texts", Verdict.OPT_IN, " (?:resubscribe|re subscribe|subscribe me|optin) "),
    ("asks_for_texts", Verdict.OPT_IN, " (?:start|resume)(?: \\w+){0,2} (?:text|send)(?: \\w+){0,3} (?:me|us|again) "),
    ("asks_for_texts", Verdict.OPT_IN, "^(?: please)? resume (?:text|send)(?: text)? "),
    ("asks_for_texts", Verdict.OPT_IN, " put me back on(?: \\w+){0,2} list "),
    # "Stop" with something else around it.
    (
        "told_to_stop",
        Verdict.OPT_OUT,
        " (?:told|asked|tell|telling|asking|ask|want|beg|begging|like)(?: (?:you|them|guys|all"
        "|people)){1,2}(?: to| please)? stop(?: (?:it|this|that|these|please|now))* $",
    ),
    (
        "told_to_stop",
        Verdict.OPT_OUT,
        "(?: (?:can|could|would|will) you(?: all| guys)?(?: please| just)?| i said| please| just"
        "| and) stop(?: (?:it|this|that|these|them|please|now|thanks))* $",
    ),
    (
        "place_to_stop",
        Verdict.NONE,
        " (?:the|a|bus|next|last|first|tram|train|truck|pit|full|our|my|each|one|every) stop ",
    ),
    (
        "place_to_stop",
        Verdict.NONE,
        " (?:stop|stopping) (?:by|at|in|over|off|on|near|outside|past|into|along|for|light|lights|sign|watch) ",
    ),
    (
        "stop_in_doubt",
        Verdict.UNCLEAR,
        " (?:to|will|would|might|should|must|did|does|we|i|they|he|she|it|lets|can|cannot|when|where"
        "|going)(?: \\w+)? stop(?: (?:it|this|that|these|them|please|now))* $",
    ),
    (
        "ends_with_stop",
        Verdict.OPT_OUT,
        "^(?: \\w+){1,5} (?:stop|stopall)(?: (?:it|this|these|them|please|now|thanks))* $",
    ),
    ("stop_in_doubt", Verdict.UNCLEAR, " (?:stop|stopall)(?: (?:it|this|that|these|them|please|now|thanks))* $"),
    ("stop_in_doubt", Verdict.UNCLEAR, "^(?: (?:please|just|ok|okay|yes|no|hi|hey|now|kindly))* (?:stop|stopall) "),
    (
        "cancel_in_doubt",
        Verdict.UNCLEAR,
        "^(?: (?:i|id|we|please|can|could|may|just|want|to|need|like|would|have|going|gonna|sorry|hi|hello"
        "|will|must|yes|no|ok|okay"
        "|thanks|im|you|ill|lets|and|so|do|how)){0,8} cancel(?: (?:it|this|that|please|me|thanks|sorry|now"
        "|today|everything|for"
        "|subscription|membership|my|the|plan|account|all)){0,5} $",
    ),
    # Nothing said, much meant.
    (
        "bare_doubt",
        Verdict.UNCLEAR,
        "^(?: please| just| kindly)* (?:delete|block|discontinue|desist|enough|exit|out)(?: please| thanks"
        "| already)* $",
    ),
    ("not_interested", Verdict.UNCLEAR, " (?:not|nolonger|never|arent|isnt)(?: really| at all| even)? interested "),
    (
        "do_not_want",
        Verdict.UNCLEAR,
        " (?:dont|nolonger) want (?:any|anything|it|this|anymore)(?: (?:more|of|this|it|anymore|thanks|please"
        "|from you))* $",
    ),
    (
        "wrong_person",
        Verdict.UNCLEAR,
        " (?:wrong (?:number|person|phone)|not my name|nolonger (?:a|your)(?: \\w+)? (?:client|customer"
        "|patient|member|number)) ",
    ),
    (
        "who_gave_number",
        Verdict.UNCLEAR,
        " (?:how|where|who)(?: \\w+){0,3} (?:get|got|gave|give)(?: \\w+){0,2} (?:my|this) number ",
    ),
    (
        "hostile",
        Verdict.UNCLEAR,
        " (?:fuck off|f off|eff off|piss off|bugger off|go away|get lost|fuck you|screw you|sod off|dont bother) ",
    ),
    (
        "complains",
        Verdict.UNCLEAR,
        " (?:report you|reported you|reporting you|reported this|acma|fcc|tcpa|harassment|lawyer|illegal"
        "|enough is enough) ",
    ),
)

RULES: Final = tuple(Rule(name, verdict, re.compile(squeeze(written))) for name, verdict, written in _WRITTEN)

# Told apart before words are canonical: a "promo" is a text, but not all texts.
MARKETING: Final = re.compile(r"\b(?:promo\w*|marketing|offers?|ads?|advert\w*|newsletters?|sales?|specials?|deals?)\b")
EVERYTHING: Final = re.compile(
    squeeze(
        " (?:stopall|everything|never|ever|all text|all contact|all of|contact|any|anymore|revoke|withdraw"
        "|delete|erase|lose|forget|cease|leave) "
    )
)
SPAM: Final = re.compile(r"\bspam(?:m\w+)?\b")
