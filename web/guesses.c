/* SPDX-License-Identifier: ISC */
/*
 * Guesses by whom.  mcrelay-web only.
 */
#include <stddef.h>
#include <string.h>

#include "common/util.h"
#include "web/guesses.h"

/* Of more than that, those are forgotten who have made the fewest. */
#define PLACES		1024

static struct place {
	uint8_t		who[KEYED_SIZE];
	double		made;		/* at that time */
	uint64_t	at_ns;
} places[PLACES];

static double
made_by_now(const struct place *place, uint64_t now_ns)
{
	double gone = (double)(now_ns - place->at_ns) / (double)NS_PER_S /
	    GUESSES_S;

	return place->made > gone ? place->made - gone : 0.;
}

static struct place *
find(const uint8_t who[static KEYED_SIZE])
{
	size_t i;

	for (i = 0; i < PLACES; i++)
		if (memcmp(places[i].who, who, KEYED_SIZE) == 0)
			return &places[i];
	return NULL;
}

static struct place *
take(const uint8_t who[static KEYED_SIZE], uint64_t now_ns)
{
	struct place *fewest = &places[0];
	size_t i;

	for (i = 1; i < PLACES; i++)
		if (made_by_now(&places[i], now_ns) <
		    made_by_now(fewest, now_ns))
			fewest = &places[i];
	memcpy(fewest->who, who, KEYED_SIZE);
	fewest->made = 0.;
	return fewest;
}

double
guesses_made(const uint8_t who[static KEYED_SIZE], uint64_t now_ns)
{
	const struct place *place = find(who);

	return place != NULL ? made_by_now(place, now_ns) : 0.;
}

void
guesses_count(const uint8_t who[static KEYED_SIZE], uint64_t now_ns,
    int count)
{
	struct place *place = find(who);
	double made;

	if (place == NULL)
		place = take(who, now_ns);
	made = made_by_now(place, now_ns) + count;
	place->made = made < 0. ? 0. : MIN_OF(made, 2. * GUESSES_MAX);
	place->at_ns = now_ns;
}

bool
guesses_left(const uint8_t who[static KEYED_SIZE], uint64_t now_ns)
{
	return guesses_made(who, now_ns) + 1. <= GUESSES_MAX;
}
