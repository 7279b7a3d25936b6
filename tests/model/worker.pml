/* SPDX-License-Identifier: ISC */
/*
 * A worker that may be killed at any step: receive, commit, send, archive,
 * and the recovery of each (common/segment.h, worker/).  What is global here
 * lies in the segment, the kernel or the file system, and outlives the
 * worker; what is local dies with it.
 *
 * Checked: once the socket is drained, each datagram lies in the ring once,
 * in order; has left the output once, in order; is in the file once, in order.
 * -DBREAK=n leaves out a step of the protocol: the check must then fail.
 *
 * A position of the ring is a cell that takes one record.  The kernel writes
 * to the cells beyond the head; of a datagram that is larger than expected
 * (any may be) the rest lies in its slot, and it is copied on.
 */
#ifndef DATAGRAMS
#define DATAGRAMS	2
#endif
#define SLOTS		2
#ifndef KILLS
#define KILLS		2
#endif
#ifndef BREAK
#define BREAK		0
#endif
#define SENTINEL	255
#define CELLS		8

/* The kernel: next datagram in the socket's queue, what the output has sent. */
byte	queued = 0;
byte	sent[8];
byte	sent_count = 0;

/* The segment: ingest domain and its call in flight. */
byte	in_gen = 0;
byte	in_head[2], in_batch[2], in_count[2];
byte	rx_batch = 0, rx_len[SLOTS], rx_slot[SLOTS];
byte	ring[CELLS];		/* payloads... */
bool	pad[CELLS];		/* ...and what their headers say */
bool	large[8];		/* which datagrams */
byte	head = 0;

/* Output domain and its call in flight. */
byte	out_gen = 0;
byte	out_pos[2], out_batch[2];
byte	tx_batch = 0, tx_len[SLOTS], tx_plan[SLOTS], tx_offered = 0;

/* Archive domain, and the file. */
byte	ar_gen = 0;
byte	ar_pos[2], ar_size[2];
byte	file[16];
byte	file_size = 0;

bool	killed = false;
byte	kills = 0;
byte	dead = 0;	/* threads that have noticed */
bool	done_relay = false, done_archive = false;

#define CUR(gen)	((gen) % 2)
#define SPARE(gen)	(((gen) + 1) % 2)

/* Everything that ingest commits for messages 0 to n - 1. */
inline commit_batch(n)
{
	d_step {
		in_head[SPARE(in_gen)] = in_head[CUR(in_gen)];
		in_batch[SPARE(in_gen)] = in_batch[CUR(in_gen)];
		in_count[SPARE(in_gen)] = in_count[CUR(in_gen)] + n;
		i = 0
	};
	do
	:: i < n && in_head[SPARE(in_gen)] == in_head[CUR(in_gen)] + i &&
	    !large[ring[in_head[CUR(in_gen)] + i]] ->
		d_step {
			pad[in_head[SPARE(in_gen)]] = false;
			in_head[SPARE(in_gen)] = in_head[SPARE(in_gen)] + 1;
			i++
		}
	:: else -> break
	od;
	do
	:: i < n && in_head[SPARE(in_gen)] < in_head[CUR(in_gen)] + n ->
		d_step {
			pad[in_head[SPARE(in_gen)]] = true;
			in_head[SPARE(in_gen)] = in_head[SPARE(in_gen)] + 1
		}
#if BREAK == 6
		break	/* that is where the next one landed */
#endif
	:: else -> break
	od;
	do
	:: i < n ->
		d_step {
			assert(in_head[SPARE(in_gen)] < CELLS);
			/* Whole where it landed, also for a successor. */
			assert(ring[in_head[CUR(in_gen)] + i] == rx_slot[i]);
			ring[in_head[SPARE(in_gen)]] = rx_slot[i];
			pad[in_head[SPARE(in_gen)]] = false;
			in_head[SPARE(in_gen)] = in_head[SPARE(in_gen)] + 1;
			i++
		}
	:: else -> break
	od;
#if BREAK != 1
	in_batch[SPARE(in_gen)] = in_batch[SPARE(in_gen)] + 1;
#endif
	in_gen = 1 - in_gen;
	head = in_head[CUR(in_gen)]
}

inline settle(n)
{
	out_pos[SPARE(out_gen)] = (n > 0 -> tx_plan[n - 1] :
	    out_pos[CUR(out_gen)]);
	out_batch[SPARE(out_gen)] = out_batch[CUR(out_gen)] + 1;
	out_gen = 1 - out_gen
}

inline recover_output()
{
	if
	:: tx_batch == out_batch[CUR(out_gen)] + 1 ->
		n = 0;
		do
		:: n < tx_offered && tx_len[n] != SENTINEL -> n++
		:: else -> break
		od;
		settle(n)
	:: else
	fi
}

inline recover_ingest()
{
	if
	:: rx_batch == in_batch[CUR(in_gen)] + 1 ->
		n = 0;
		do
		:: n < SLOTS && rx_len[n] != SENTINEL -> n++
		:: else -> break
		od;
		commit_batch(n)
	:: else ->
		head = in_head[CUR(in_gen)]
	fi;
	rx_len[0] = SENTINEL;
	rx_len[1] = SENTINEL
}

inline receive()
{
#if BREAK != 2
	rx_len[0] = SENTINEL;
	rx_len[1] = SENTINEL;
#endif
	rx_batch = in_batch[CUR(in_gen)] + 1;
	/* The kernel: payload and length of each, then the next one. */
	n = 0;
	do
	:: n < SLOTS && queued < DATAGRAMS ->
		d_step {
			ring[in_head[CUR(in_gen)] + n] = queued;
			rx_slot[n] = queued;
			rx_len[n] = 1;
			queued++;
			n++
		}
	:: n > 0 || queued == DATAGRAMS -> break
	od;
	if
	:: n > 0 -> commit_batch(n)
	:: else
	fi
}

inline send()
{
	tx_offered = 0;
	n = out_pos[CUR(out_gen)];
	do
	:: tx_offered < SLOTS && n < head && pad[n] -> n++
	:: tx_offered < SLOTS && n < head && !pad[n] ->
		n++;
		tx_plan[tx_offered] = n;
#if BREAK != 3
		tx_len[tx_offered] = SENTINEL;
#endif
		tx_offered++
	:: else -> break
	od;
	if
	:: tx_offered > 0 ->
#if BREAK != 4
		tx_batch = out_batch[CUR(out_gen)] + 1;
#endif
		n = 0;
		do
		:: n < tx_offered ->
			d_step {
				assert(sent_count < DATAGRAMS);
				sent[sent_count] = ring[tx_plan[n] - 1];
				sent_count++;
				tx_len[n] = 1;
				n++
			}
		:: n > 0 -> break	/* the socket is full */
		od;
		settle(n)
	:: else
	fi
}

/* One thread each; both die at once. */
proctype relay()
{
	byte n, i;

	do
	:: {
		recover_output();
		recover_ingest();
		do
		:: receive();
			send();
			if
			:: queued == DATAGRAMS &&
			    out_pos[CUR(out_gen)] == head &&
			    in_count[CUR(in_gen)] == DATAGRAMS -> break
			:: else
			fi
		od;
		done_relay = true;
end_relay:	killed	/* waits for a kill that may yet come */
	} unless { killed };
		dead++;
		atomic { !killed -> dead-- }	/* the successor is started */
	od
}

proctype archive()
{
	byte at, to;

	do
	:: {
		/* Recovery: cut the file back to what is committed. */
#if BREAK != 5
		file_size = ar_size[CUR(ar_gen)];
#endif
		do
		:: ar_pos[CUR(ar_gen)] < head ->
			at = ar_pos[CUR(ar_gen)];
			to = head;
			do
			:: at < to && pad[at] -> at++
			:: at < to && !pad[at] ->
				d_step {
					assert(file_size < 15);
					file[file_size] = ring[at];
					file_size++;
					at++
				}
			:: else -> break
			od;
			ar_pos[SPARE(ar_gen)] = to;
			ar_size[SPARE(ar_gen)] = file_size;
			ar_gen = 1 - ar_gen
		:: ar_pos[CUR(ar_gen)] == head &&
		    in_count[CUR(in_gen)] == DATAGRAMS &&
		    head == in_head[CUR(in_gen)] -> break
		od;
		done_archive = true;
end_archive:	killed
	} unless { killed };
		dead++;
		atomic { !killed -> dead-- }
	od
}

proctype killer()
{
	do
	:: kills < KILLS && !(done_relay && done_archive) ->
		atomic {
			kills++;
			done_relay = false;
			done_archive = false;
			killed = true
		};
		dead == 2;
		killed = false;
		dead == 0
	:: break
	od
}

/* Everything has come to rest: what is where? */
proctype judge()
{
	byte i = 0, at = 0;

	(done_relay && done_archive && !killed);
	d_step {
		if
		:: done_relay && done_archive && !killed ->
			assert(sent_count == DATAGRAMS);
			assert(file_size == DATAGRAMS);
			do
			:: i < DATAGRAMS && pad[at] -> at++
			:: i < DATAGRAMS && !pad[at] ->
				assert(ring[at] == i);
				at++;
				assert(sent[i] == i);
				assert(file[i] == i);
				i++
			:: else -> break
			od;
			assert(at == head)
		:: else
		fi
	}
}

init {
	byte i = 0;

	atomic {
		do
		:: i < DATAGRAMS -> large[i] = true; i++
		:: i < DATAGRAMS -> i++
		:: else -> break
		od;
		rx_len[0] = SENTINEL;
		rx_len[1] = SENTINEL;
		run relay();
		run archive();
		run killer();
		run judge()
	}
}
