"""Replies as people write them, by what they mean."""

OPT_OUT = """
STOP
stop
Stop.
STOP!!!
"STOP"
'stop'
stop please
Please stop
pls stop
STOOOP
stopp
STPO
S T O P
S.T.O.P.
s-t-o-p
St op
st0p
$top
5TOP
ＳＴＯＰ
𝐒𝐓𝐎𝐏
ЅТОР
s\u200bt\u200bo\u200bp
\u202eSTOP\u202c
🛑
Stop 🙏
Stop. Thank you
STOP thanks
Stop now
ok stop
Yes stop
No. Stop.
Stop it
stop this
STOP ALL
STOPALL
stop all messages
stop stop stop
Reply STOP
STOP\\nSent from my iPhone
STOP\\n> Hi Jo, 20% off this week
UNSUBSCRIBE
Unsubscribe me thanks
unsubscibe
unsuscribe
un-subscribe
un subscribe me
unsub
pls unsub me
I want to unsubscribe
How do I unsubscribe?
please unsubscribe my number
CANCEL
Cancel.
cancel please
END
Quit
REVOKE
OPTOUT
OPT-OUT
opt out
opt me out please
I'd like to opt out
opting out
REMOVE
ARRET
Arrêt
arrête
please remove me thanks
Take Jane off your list please
get rid of my number
I want out
arrêtez
СТОП
Stopp
please stop texting me
Please stop texting
stop texting me!!!
STOP TXTING ME
stop sending me messages
stop sending these
Stop the texts
stop with the messages pls
can you please stop messaging me
could you stop sending me promos
will you stop?
Can't you stop texting me
why don't you stop texting me
If you don't stop texting me I will call the police
quit texting me
cease all contact
stop spamming me
stop harassing me
stop contacting this number
stop bothering us
stop calling me
I told you to stop
I said stop
take me off your list
Take me off this list please
take me off
take me of ur list
get me off your mailing list
please take my number off your list
remove me
Remove me from your list
remove my number
please delete my number
delete me from your database
lose my number
remove from list
don't message me again
Don't text me
dont txt me anymore
do not contact me
Do not contact me again.
please don't send me any more texts
don't send me any more
Don’t text this number again
never text me again
Never contact me again
please do not text me ever again
I don't want these messages
I do not wish to receive texts
i dont want any more texts
no longer wish to receive these messages
I don't want to hear from you
don't want these anymore
I don't want to be on your list
I would not like to be contacted
no more texts pls
No more messages please
no more
no more of these
No texts please
enough with the texts
leave me alone
Leave me alone!!
cease and desist
I revoke my consent
I withdraw my permission to text me
cancel these texts
please cancel all messages
I want these texts to stop
make these texts stop
Hi guys STOP
wrong number stop
Not interested, stop
Not interested stop
No thanks, please remove me
Great service but please stop texting me
Love the salon. Unsubscribe.
Thanks for the offer, take me off the list
I don't know how to stop these texts
how do i stop getting these messages
arrêtez de m'envoyer des messages
je ne veux plus recevoir de sms
no quiero recibir mensajes
keine SMS mehr bitte
stop fucking texting me
Sorry wrong person please stop
"""

ORDINARY = """
Count me in! We have got to STOP this terrible bill
don't stop
Don't stop!
please don't stop
please don't unsubscribe me
do not remove me
Please do not take me off the list
never stop
I don't want to stop receiving these
I don't want you to stop
don't opt me out
I do not want to be unsubscribed
can't stop laughing
Non-stop fun, see you there
why did you stop texting me
can I cancel my appointment tomorrow
Can I cancel my appointment?
cancel my appointment
please cancel my 3pm
I need to cancel my appointment on Friday
do you charge if I cancel within 24 hours
Hi, need to cancel tomorrow's booking please
I'll stop by tomorrow
I'll stop in at 3
Please stop by and leave a message
which bus stop is closest?
I'm at the bus stop
Get off at the next stop and text me
See you at the end of the day
the end
Have a nice weekend
Remove the stitches on Monday?
Thanks
thank you
ok
Yes please
yes!! see you then
YES I will be there
yesss
no
No thanks
no thank you
Nope
Y
N
1
👍
Hello
Who is this?
What time do you open?
Running 10 minutes late
See you at 3.30pm
Can you text me the address
Please text me when ready
Don't forget to text me
don't hesitate to contact me
I don't text and drive
I didn't get your message
I don't get your texts
never got your text this morning
Don't send me the link, I have it
take me out for dinner
start at 3?
help me with my booking
I need help with the booking
any info on parking?
Liked “Hi Jo, 20% off. Reply STOP to opt out”
Loved "Reply STOP to unsubscribe"
What does Reply STOP to opt out mean, Jo from the salon?
Is it ok to bring my dog?
Why don't you text me the address
no more pain, thanks!
the rain won't stop
top of your list
I'm starting a new job
information received
quit smoking class was good
subscribed to your channel
great, thanks for the offers
Can you stop the dog from barking when we visit?
Thanks for your message, no need to text back
We don't want to miss your texts
Please don't stop sending these, I love them
Please remove the 3pm booking
should I stop taking the tablets?
unsubstantiated rumours
Take care
стою на остановке
明天见

...
"""

OPT_IN = """
START
start
Start.
UNSTOP
YES
yes
Yes!
start please
unstop thanks
opt in
resubscribe me
please start texting me again
Please resume texting
S T A R T
"""

HELP = """
HELP
help
Help?
INFO
info please
help please
Please help
"""

UNCLEAR = """
cancel it
yes cancel
I need to cancel
can I cancel?
Can't make it, cancel
cancel my subscription
Not interested
not interested thanks
wrong number
This is spam
fuck off
go away
STOP START
Stop this is Jane
stop the war
I want to stop
This has to stop
don't text me before 9
please don't text me at work
don't text me on Sundays
remove me from the waiting list
take me off the 3pm waitlist
I can't unsubscribe
I unsubscribed by mistake
didn't mean to opt out
have I been unsubscribed?
I never signed up for this
I didn't opt in
who gave you my number
don't want it
you never stop texting me
opt out of the insurance
Don't. Stop.
remove this
Delete
please don't contact me unless it's urgent
what happens if I reply STOP?
Do not send texts after 9pm
"""


def lines(block: str) -> list[str]:
    """The phrases of a block; a written \\n is a line break."""
    return [line.replace("\\n", "\n") for line in block.split("\n") if line]
