/* SPDX-License-Identifier: ISC */
/*
 * Hosts that take turns at a channel (common/lease.h): never two speak.
 *
 * Time is discrete and the same for all, but what anybody knows of it is what
 * it has measured itself: no host's clock is compared with another's.  Between
 * any two steps of anybody any time may pass: a stopped process, a slow network.
 * A request is delivered, lost, or delivered late, after its sender has given it
 * up or was killed; so is its answer.  A process that asks may be killed, and
 * its successor knows nothing but what the page says.
 *
 * The server is the weaker one, nats-server 2.9: it looks at what an update
 * names when that comes, and stores it some time later, in the order in which
 * they came.
 *
 * Checked: no two hosts may speak at one moment.  -DBREAK=n leaves out a step of
 * the protocol: the check must then fail.
 *	1  the lease counts from the answer, not from the sending
 *	2  a standby tries at once, not when it has waited for a lease
 *	3  an update does not name the revision that it is to follow
 *	4  who gives it back does not become silent first
 *	5  what was not confirmed is taken for a renewal
 *	6  a standby measures from when it asked, not from when it was told
 *	7  what is said to be taken is not confirmed
 *	8  it is confirmed without waiting for what came before
 */
#ifndef BREAK
#define BREAK	0
#endif
#define HOSTS	2
#define LEASE	1
#define WAIT	2		/* the lease and its margin */
#define END	5		/* of time */
/* Revision; to take it takes two. */
#if BREAK == 4
#define LAST	6
#else
#define LAST	5
#endif
#define NOBODY	255
#define UNKNOWN	254

byte	now = 0;

/* The server: one key. */
byte	revision = 1;
byte	owner = NOBODY;		/* NOBODY: it was given back, or there is no key */

/* A host: what is in its page outlives the process that asks. */
byte	until[HOSTS];		/* may speak before that */

/* A request under way, one of each host: a late one may be of a process that
 * was killed. */
bool	flying[HOSTS];
byte	names[HOSTS];		/* the revision that it is to follow */
byte	says[HOSTS];		/* the owner */
/* It has come and is to be stored; the other one before it. */
bool	queued[HOSTS];
bool	behind[HOSTS];
byte	kills = 0;

inline landed(h)
{
	flying[h] = false;
	names[h] = 0;
	says[h] = 0
}

/* Stored it will be, or it is refused. */
inline come(h)
{
	if
	:: names[h] == revision || BREAK == 3 ->
		queued[h] = true;
		behind[h] = queued[1 - h]
	:: else -> landed(h)
	fi
}

/* Where it is its turn. */
inline be_stored(h)
{
	revision++;
	owner = says[h];
	queued[h] = false;
	behind[1 - h] = false;
	landed(h)
}
#define TURN(h)	(queued[h] && !behind[h])

/* Nothing is known that another process would not have to find out. */
inline forget()
{
	known = 0;
	since = 0;
	held = false;
	seen_owner = UNKNOWN
}

/* At the moment at which it becomes so: time takes it away from both. */
inline allow(from)
{
	until[me] = from;
	until[me] = until[me] + LEASE;
	assert(until[me] <= now || until[1 - me] <= now)
}

/* What arrives when nobody waits for it any more. */
proctype late(byte h)
{
	do
	:: atomic { flying[h] && !queued[h] -> come(h) }
	:: atomic { TURN(h) -> be_stored(h) }
	:: atomic { flying[h] && !queued[h] -> landed(h) }
	:: now >= END -> break
	od
}

proctype host(byte me)
{
	byte known = 0, since = 0, sent = 0, asked = 0, seen_owner = UNKNOWN;
	byte end = 0;
	bool held = false, confirms = false;

	do
	:: now >= END -> break
	/* The process is killed; another one begins. */
	:: atomic { kills < 1 && known != 0 -> kills++; forget() }
	/* It looks; what it hears was so before now, but may not have been so
	 * when it asked. */
	:: atomic { now < END && !held && (known != revision ||
	    seen_owner != owner) ->
		asked = now }
		atomic {
		if
		:: known != revision ->
			since = (BREAK == 6 -> asked : now);
			known = revision
		:: else
		fi;
		asked = 0;
		seen_owner = owner }
	/* It tries to take or to renew it, */
	:: atomic { now < END && !flying[me] && known != 0 &&
	    revision < LAST && (held || seen_owner == me ||
	    seen_owner == NOBODY && known > 1 || now - since >= WAIT ||
	    BREAK == 2) ->
		sent = now; names[me] = known; says[me] = me;
		flying[me] = true }
say:		if
		/* and that comes, */
		:: atomic { flying[me] && !queued[me] -> come(me) }
		:: atomic { true -> skip }
		fi;
		if
		/* and is answered, some time later; the answer takes its
		 * time, too, */
		:: atomic { TURN(me) -> be_stored(me); end = revision }
			if
			:: atomic { held && now < until[me] || confirms ||
			    BREAK == 7 ->
				known = end;
				held = true;
				since = 0;
				sent = (BREAK == 1 -> now : sent);
				allow(sent);
				confirms = false; sent = 0; end = 0 }
			/* Another one may have taken it at the same time:
			 * what came before what we say next is stored then. */
			:: atomic { !(held && now < until[me]) && !confirms &&
			    BREAK != 7 && revision < LAST &&
			    (!queued[1 - me] || BREAK == 8) ->
				known = end; end = 0; confirms = true;
				names[me] = known; says[me] = me;
				flying[me] = true;
				goto say }
			:: atomic { true -> forget(); confirms = false;
			    sent = 0; end = 0 }
			fi
		/* or not: it looks again, and finds what was late or lost. */
		:: atomic {
			if
			:: BREAK == 5 -> allow(sent)
			:: else
			fi;
			forget(); confirms = false; sent = 0 }
		fi
	/* It gives it away: silent first. */
	:: atomic { held && now < END && !flying[me] && revision < LAST ->
		until[me] = (BREAK == 4 -> until[me] : 0) }
		atomic { names[me] = known; says[me] = NOBODY;
		    flying[me] = true; forget() }
	od
}

/* Time passes between any two steps, whoever is about to do what. */
proctype clock()
{
	do
	:: atomic { now < END -> now++ }
	:: now >= END -> break
	od
}

init
{
	atomic {
		run host(0);
		run host(1);
		run late(0);
		run late(1);
		run clock()
	}
}
