/* SPDX-License-Identifier: ISC */
/*
 * A reader that the writer may lap at any step (common/ring.h): it reads a
 * record word by word, in place, then asks whether it was intact.  Records
 * are of two words that both hold the record's number.
 *
 * Checked: a record taken for intact is never torn nor another one; got and
 * missed add up; a reader that sleeps is woken.
 * -DBREAK=n leaves out a step of the protocol: the check must then fail.
 */
#ifndef RECORDS
#define RECORDS	6
#endif
#define SIZE	4	/* words: two records */
#ifndef BREAK
#define BREAK	0
#endif
#define NEVER	255

byte	word[SIZE];
byte	head = 0, reserve = 0;		/* words */
byte	wake_at = NEVER;
bool	event = false;

active proctype writer()
{
	byte number = 0, wanted;

	do
	:: number < RECORDS ->
#if BREAK != 1
		reserve = head + 2;
#endif
		word[head % SIZE] = number;
		word[(head + 1) % SIZE] = number;
#if BREAK == 1
		reserve = head + 2;
#endif
		head = head + 2;
		number++;
#if BREAK != 3
		wanted = wake_at;
		do
		:: wanted > head -> break
		:: else ->
#if BREAK != 5
			/* compare and exchange */
			if
			:: d_step { wake_at == wanted -> wake_at = NEVER };
				event = true;
				break
			:: d_step { wake_at != wanted -> wanted = wake_at }
			fi
#else
			/* exchange, and look at what it was */
			d_step { wanted = wake_at; wake_at = NEVER };
			if
			:: wanted <= head -> event = true
			:: else
			fi;
			break
#endif
		od
#endif
	:: else -> break
	od
}

active proctype reader()
{
	byte position = 0, got = 0, missed = 0, first, second, seen;

	do
	:: position == RECORDS * 2 -> break
	:: position < RECORDS * 2 && position == head ->
		wake_at = position + 1;
		if
#if BREAK != 4
		:: head >= position + 1 -> wake_at = NEVER
		:: else ->
#else
		:: true ->
#endif
			event;		/* blocks until the eventfd is written */
			event = false
		fi
	:: position < head ->
		first = word[position % SIZE];
		second = word[(position + 1) % SIZE];
		if
#if BREAK != 2
		:: reserve - position > SIZE ->
			/* lapped: on to the oldest that is safe */
			seen = head;
			missed = missed + (seen - position) / 2;
			position = seen
		:: else ->
#else
		:: true ->
#endif
			assert(first == second);
			assert(first == position / 2);
			got++;
			position = position + 2
		fi
	od;
	assert(got + missed == RECORDS)
}
