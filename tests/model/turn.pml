/* SPDX-License-Identifier: ISC */
/*
 * A channel handed over from host to host (common/turn.h, common/lease.h):
 * between what the two relay nothing is missing, and nothing is there twice.
 *
 * Who may have the key for how long is lease.pml's; here a lease that was not
 * renewed is over at some moment, and only then may another host take it
 * unasked.  A datagram comes to the sockets of both at one moment (what
 * networks differ by is what margins are for), and a worker takes it from there
 * whenever it likes.
 *
 * Processes that ask and supervisors are killed between any two steps, both
 * together, so that what is left is the segment; workers are killed for
 * themselves.  An update of the key is stored, lost, or stored late, when its
 * sender has given it up or was killed; so is the answer.
 *
 * Checked: two never speak at one moment; no datagram is sent twice; there is
 * an end, in which one has the channel, no order is left, all that came has
 * been dealt with, and was sent, unless a lease has run out.
 * -DBREAK=n leaves out a step of the protocol: the check must then fail.
 *	1  it is told to follow before it is said that it may speak
 *	2  who keeps lets go when nobody answers
 *	3  an order does not outlive the process that has given it
 *	4  it is told to follow for a while, not until it has
 *	5  the key does not say where the other has stopped once it is taken
 *	6  what was kept for nothing is let go by no order
 *	7  who hands over is not silent when it says so
 *	8  who is to follow says that it can before its worker keeps
 *	9  a worker that follows does not write down where it has looked
 *	10 who stops does not send what lies in its socket
 *	11 who follows does not look in what lies in its socket
 *	12 it is handed over before its worker has stopped
 */
#ifndef BREAK
#define BREAK		0
#endif
/* With some steps left out it takes a kill, or a lease that runs out, to fail:
 * too many ways to search all.  In these parts of them a datagram comes, who
 * asks is killed, and a lease is over, only where that matters; what fails
 * there fails.  -DPART=n searches one with all steps: 6 ends, after 27 960
 * states; of 5 a million had no error. */
#ifndef PART
#define PART		BREAK
#endif
#define STOPPED		(s_kind[0] == STOP && s_done[0] == s_id[0])
#if PART == 3
#define KILLS		1
#define WORKER_KILLS	0
#define COMES		(STOPPED && kills == 1 && s_kind[1] == NONE)
#define DIES(h)		((h) == 1 && s_kind[1] == KEEP && STOPPED)
#elif PART == 5
#define KILLS		1
#define WORKER_KILLS	0
#define COMES		STOPPED
#define DIES(h)		((h) == 1 && s_kind[1] == KEEP && held && owner == 1)
#elif PART == 6
#define OVER		1
#define WORKER_KILLS	0
#define COMES		(s_kind[1] == KEEP && s_done[1] == s_id[1])
#define LAPSES		(s_kind[1] == KEEP && p_kind[1] == NONE)
#endif
#ifndef COMES
#define COMES		true
#endif
#ifndef DIES
#define DIES(h)		true
#endif
#ifndef LAPSES
#define LAPSES		true
#endif
#ifndef DATAGRAMS
#define DATAGRAMS	1
#endif
#ifndef HANDS			/* hand-overs that are begun */
#define HANDS		1
#endif
#ifndef KILLS			/* of a supervisor and the process that asks */
#define KILLS		0
#endif
#ifndef WORKER_KILLS
#define WORKER_KILLS	1
#endif
#ifndef LATE			/* updates without an answer */
#define LATE		0
#endif
#ifndef OVER			/* leases that run out */
#define OVER		0
#endif
#define FAR		255
#define ALL		254	/* mark: of what was kept nothing is to be sent */
#define NONE		0
#define KEEP		1
#define STOP		2
#define FOLLOW		3
#define OTHER		(1 - me)

/* Datagrams: come to the sockets; which were sent; behind the last of these. */
byte	came = 0, last = 0;
bool	sent[DATAGRAMS];
bool	excused = false;

/* The key; what a host says in its own; an update under way. */
byte	revision = 1, owner = 0, to = FAR, number = 0, mark = 0;
bool	held = true;
byte	ready[2];
bool	flying[2], f_held[2];
byte	f_rev[2], f_to[2], f_number[2], f_mark[2];
bool	over[2];		/* its last renewal was too long ago */

/* Segments. */
byte	got[2], pos[2];
bool	speak[2];
byte	s_kind[2], s_id[2], s_number[2], s_done[2], s_mark[2];
byte	s_looked[2], s_look[2];

/* Workers: behind what they send nothing. */
byte	stop[2];

/* Pages. */
bool	until[2];
byte	p_kind[2], p_id[2], p_number[2], p_done[2], p_mark[2];
byte	ids = 1;

bool	killed[2], dies[2], sending[2];
byte	kills = 0, worker_kills = 0, late = 0, overs = 0, hands = 0;

inline order(kind, what)
{
	p_kind[me] = kind;
	p_number[me] = what;
	p_id[me] = (kind == NONE -> 0 : ids);
	ids = (kind == NONE -> ids : ids + 1)
}

/* give_places() of supervisor/fleet.c */
inline new_page()
{
	until[me] = speak[me];
	p_kind[me] = (BREAK == 3 -> NONE : s_kind[me]);
	p_id[me] = (BREAK == 3 -> 0 : s_id[me]);
	p_number[me] = s_number[me];
	p_done[me] = s_done[me];
	p_mark[me] = s_mark[me]
}

inline landed(h)
{
	flying[h] = false; f_held[h] = false;
	f_rev[h] = 0; f_to[h] = 0; f_number[h] = 0; f_mark[h] = 0
}

inline deliver(h)
{
	stored = (f_rev[h] == revision);
	if
	:: stored ->
		revision++;
		owner = h;
		held = f_held[h];
		to = f_to[h];
		number = f_number[h];
		mark = f_mark[h];
		over[h] = false
	:: else
	fi;
	landed(h)
}

inline look()
{
	k_rev = revision; k_owner = owner; k_held = held; k_to = to;
	k_number = number; k_mark = mark
}

/* lease_say(): `stored' is what its sender knows. */
inline say(as_held, whom, what, where)
{
	atomic { !flying[me] ->
		flying[me] = true;
		f_rev[me] = k_rev; f_held[me] = as_held; f_to[me] = whom;
		f_number[me] = what; f_mark[me] = where }
	if
	:: atomic { flying[me] -> deliver(me);
		if
		:: stored -> look()
		:: else
		fi }
	:: atomic { late < LATE || !flying[me] -> stored = false;
		late = (late < LATE -> late + 1 : late) }
	fi
}

/* From its answer, or not: what was sent too long ago allows nothing. */
inline allow()
{
	until[me] = !over[me]
}

#define OURS		(k_held && k_owner == me)
#define FOR_US		(!k_held && k_to == me)
#define ANNOUNCED	(k_held && k_owner == OTHER && k_to == me && \
			    k_number != 0)
/* A host has dealt with what another one has sent, or keeps it, long before
 * that one's lease is over: a worker is not late by more than the margin, be it
 * told nothing or something that it has not begun. */
#define EXPIRED		(held && owner == OTHER && over[OTHER] && \
			    (pos[me] >= last || stop[me] != FAR))
#define DONE		(p_done[me] == p_id[me])

inline forget()
{
	have = false; pledged = false; stored = false; k_held = false;
	k_rev = 0; k_owner = 0; k_to = 0; k_number = 0; k_mark = 0;
	a_mark = 0; a_number = 0
}

/* lease_let_go() */
inline let_go()
{
	if
	:: BREAK == 6 -> order(NONE, 0)
	:: else -> p_mark[me] = ALL; order(FOLLOW, 0)
	fi
}

/* lease_take() */
inline take()
{
	atomic {
		a_number = 0;
		a_mark = ALL;
		if
		:: p_kind[me] == KEEP && k_number == p_number[me] &&
		    !ANNOUNCED ->
			a_number = k_number;
			a_mark = k_mark
		:: p_kind[me] == FOLLOW ->
			a_number = p_number[me];
			a_mark = p_mark[me]
		:: else
		fi }
	say(true, FAR, (BREAK == 5 -> 0 : a_number), a_mark);
	if
	:: !stored
	:: stored && BREAK == 1 && p_kind[me] == KEEP ->
		atomic { p_mark[me] = a_mark; order(FOLLOW, a_number) }
		atomic { allow(); have = true }
	:: stored && !(BREAK == 1 && p_kind[me] == KEEP) ->
		allow();
		atomic { have = true;
			if
			:: p_kind[me] == KEEP -> p_mark[me] = a_mark;
				order(FOLLOW, a_number)
			:: p_kind[me] == STOP -> order(NONE, 0)
			:: else
			fi }
	fi
}

/* give() */
inline give()
{
	atomic { a_mark = p_mark[me];
		until[me] = (BREAK == 7 -> until[me] : false) }
	/* lease_fall_silent() */
	BREAK == 7 || !speak[me];
	have = false;
	say(false, OTHER, a_number, a_mark)
}

/* lease_hand_over() */
inline hand_over()
{
	atomic { hands++; a_number = ids; ids++ }
	say(true, OTHER, a_number, 0);
	if
	:: !stored -> have = false
	:: stored -> allow();
		if
		/* It does not get ready in time. */
		:: true
		:: ready[OTHER] == a_number ->
			atomic { order(STOP, a_number) }
			if
			:: (DONE || BREAK == 12) && until[me] -> give()
			/* Not in time; a lease that is over, too. */
			:: atomic { order(NONE, 0) }
			fi
		fi
	fi
}

/* get_ready() */
inline follow()
{
	atomic {
		if
		:: p_kind[me] == KEEP && p_number[me] == k_number
		:: else -> order(KEEP, k_number)
		fi }
	do
	:: atomic { ANNOUNCED && !pledged && (DONE || BREAK == 8) ->
		pledged = true; ready[me] = k_number }
	:: atomic { ANNOUNCED && revision != k_rev -> look() }
	:: atomic { ANNOUNCED && EXPIRED && k_rev == revision -> break }
	/* Nobody answers. */
	:: atomic { ANNOUNCED && pledged && BREAK == 2 ->
		order(NONE, 0); break }
	:: atomic { !ANNOUNCED -> break }
	od
}

proctype asker(byte me)
{
	bool have, pledged, stored, k_held;
	byte k_rev, k_owner, k_to, k_number, k_mark, a_number, a_mark;

again:	atomic { killed[me] = false; forget() };
	{
end:	do
	/* hold() */
	:: atomic { have && p_kind[me] == FOLLOW && (DONE || BREAK == 4) ->
		order(NONE, 0) }
	:: have && (over[me] || p_kind[me] == NONE && k_to != FAR) ->
		atomic {
			a_number = 0; a_mark = 0;
			if
			:: p_kind[me] == FOLLOW -> a_number = p_number[me];
				a_mark = p_mark[me]
			:: else
			fi }
		say(true, FAR, (BREAK == 5 -> 0 : a_number), a_mark);
		if
		:: stored -> allow()
		:: else -> have = false
		fi
	:: have && !over[me] && p_kind[me] == NONE && k_to == FAR &&
	    hands < HANDS -> hand_over()
	/* stand_by() */
	:: atomic { !have && p_kind[me] == FOLLOW && DONE -> order(NONE, 0) }
	:: !have && (revision != k_rev || owner == me && held ||
	    to == me && !held || EXPIRED) ->
		atomic { look(); pledged = false }
		if
		:: ANNOUNCED && !over[OTHER] -> follow()
		:: else
		fi;
		if
		:: OURS || FOR_US || EXPIRED && k_rev == revision -> take()
		:: else -> atomic {
			if
			:: !ANNOUNCED && (p_kind[me] == KEEP ||
			    p_kind[me] == STOP) ->
				until[me] = false; let_go()
			:: else
			fi }
		fi
	od
	} unless { killed[me] };
	goto again
}

/* What nobody waits for any more. */
proctype network(byte h)
{
	bool stored;

end:	do
	:: atomic { flying[h] && (late > 0 || kills > 0) -> deliver(h);
		stored = false }
	:: atomic { flying[h] && (late > 0 || kills > 0) -> landed(h) }
	od
}

#define ANSWER		(p_id[me] != 0 && s_done[me] == p_id[me] && \
			    p_done[me] != p_id[me])

/* on_round(): what it has read in the page it writes somewhat later. */
proctype supervisor(byte me)
{
	byte kind, id, what;
	bool may;

again:	atomic {
		kind = 0; id = 0; what = 0; may = false;
		if
		:: dies[me] -> dies[me] = false; new_page(); killed[me] = true
		:: else
		fi }
	{
end:	do
	:: atomic { p_id[me] != s_id[me] || until[me] != speak[me] || ANSWER ->
		kind = p_kind[me]; id = p_id[me]; what = p_number[me];
		may = until[me] }
		/* fleet_apply() */
		atomic { speak[me] = may && !over[me];
			assert(!(speak[0] && speak[1])) }
		/* fleet_mirror() */
		atomic {
			if
			:: s_id[me] != id ->
				s_mark[me] = (kind == FOLLOW -> p_mark[me] :
				    s_mark[me]);
				s_number[me] = what;
				s_kind[me] = kind;
				s_id[me] = id
			:: else
			fi;
			if
			:: ANSWER && p_id[me] == id ->
				p_mark[me] = (kind == STOP -> s_mark[me] :
				    p_mark[me]);
				p_done[me] = id
			:: else
			fi;
			kind = 0; id = 0; what = 0; may = false }
	od
	} unless { dies[me] };
	goto again
}

/* worker/turn.c, relay.c, relay_pass.c */
proctype worker(byte me)
{
	byte begun, cut;
	bool awaits, may;

end:	do
	:: atomic { worker_kills < WORKER_KILLS -> worker_kills++;
		begun = FAR; stop[me] = FAR; cut = 0; awaits = false }
	:: atomic { got[me] < came -> got[me]++ }
	/* turn_look() */
	:: atomic { s_id[me] != begun ->
		begun = s_id[me]; stop[me] = FAR; awaits = false;
		if
		:: s_kind[me] == STOP && s_done[me] == begun -> stop[me] = 0
		:: s_kind[me] == STOP && s_done[me] != begun -> awaits = true
		:: s_kind[me] == KEEP -> stop[me] = 0
		:: s_kind[me] == FOLLOW && s_done[me] != begun ->
			awaits = true; stop[me] = 0
		:: else
		fi }
	/* turn_heard() */
	:: atomic { awaits && s_id[me] == begun && (got[me] == came ||
	    BREAK == 10 && s_kind[me] == STOP ||
	    BREAK == 11 && s_kind[me] == FOLLOW) ->
		awaits = false;
		if
		:: s_kind[me] == STOP -> stop[me] = got[me]
		:: else ->
			stop[me] = FAR;
			if
			:: s_looked[me] != begun || BREAK == 9 ->
				s_look[me] = got[me]; s_looked[me] = begun
			:: else
			fi;
			cut = (s_mark[me] == ALL -> s_look[me] :
			    (s_mark[me] > s_look[me] -> 0 : s_mark[me]))
		fi }
	/* It looks whether it may, then sends. */
	:: atomic { begun != FAR && pos[me] < got[me] && pos[me] < stop[me] ->
		may = speak[me]; sending[me] = may }
		atomic {
			if
			:: pos[me] < cut || !may
			:: else ->
				assert(!sent[pos[me]]);
				sent[pos[me]] = true;
				last = (pos[me] >= last -> pos[me] + 1 : last)
			fi;
			pos[me]++; may = false; sending[me] = false }
	/* turn_answer() */
	:: atomic { begun != 0 && begun != FAR && begun == s_id[me] &&
	    s_done[me] != begun && !awaits && (s_kind[me] == KEEP || s_kind[me] == STOP &&
	    pos[me] >= stop[me] || s_kind[me] == FOLLOW && pos[me] >= cut) ->
		if
		:: s_kind[me] == STOP -> s_mark[me] = stop[me]; stop[me] = 0
		:: else
		fi;
		s_done[me] = begun }
	od
}

proctype world()
{
	byte h;

	do
	:: atomic { came < DATAGRAMS && COMES -> came++ }
	:: atomic { kills < KILLS && DIES(0) -> kills++; dies[0] = true }
	:: atomic { kills < KILLS && DIES(1) -> kills++; dies[1] = true }
	:: atomic { overs < OVER && LAPSES && held && !sending[owner] ->
		overs++; excused = true; over[owner] = true; until[owner] = false;
		speak[owner] = false }
	:: timeout -> break
	od;
	assert(held && until[owner] && speak[owner]);
	assert(p_kind[0] == NONE && p_kind[1] == NONE);
	assert(s_kind[0] == NONE && s_kind[1] == NONE);
	assert(pos[0] == came && pos[1] == came);
	do
	:: h < came -> assert(sent[h] || excused); h++
	:: else -> break
	od
}

init
{
	atomic {
		until[0] = true;
		speak[0] = true;
		stop[0] = FAR;
		stop[1] = FAR;
		run asker(0);
		run asker(1);
		run network(0);
		run network(1);
		run supervisor(0);
		run supervisor(1);
		run worker(0);
		run worker(1);
		run world()
	}
}
