/* SPDX-License-Identifier: ISC */
/*
 * What a mistyped word was to be.  Every process that reads what people write.
 */
#include <stdio.h>
#include <string.h>

#include "common/nearest.h"
#include "common/util.h"

/* Longer words are not compared; no key is near that. */
#define WORD_MAX	32
/* So many letters wrong are too many. */
#define FAR		3

/*
 * How many letters have to be put in, left out, replaced or swapped with
 * their neighbour to make one word of the other.
 */
static unsigned
distance(const char *a, size_t m, const char *b, size_t n)
{
	unsigned d[WORD_MAX + 1][WORD_MAX + 1], best;
	size_t i, j;

	for (i = 0; i <= m; i++)
		d[i][0] = (unsigned)i;
	for (j = 0; j <= n; j++)
		d[0][j] = (unsigned)j;
	for (i = 1; i <= m; i++)
		for (j = 1; j <= n; j++) {
			best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			best = MIN_OF(best, d[i - 1][j] + 1);
			best = MIN_OF(best, d[i][j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				best = MIN_OF(best, d[i - 2][j - 2] + 1);
			d[i][j] = best;
		}
	return d[m][n];
}

void
nearest_begin(struct nearest *nearest, const char *text)
{
	*nearest = (struct nearest){text, NULL, FAR};
}

void
nearest_try(struct nearest *nearest, const char *word)
{
	size_t length, other = strlen(word);
	unsigned far;

	if (nearest->text == NULL)
		return;
	length = strlen(nearest->text);
	if (length > WORD_MAX || other > WORD_MAX ||
	    other > length + nearest->far || length > other + nearest->far)
		return;
	far = distance(nearest->text, length, word, other);
	/* With more than half of it wrong, it is another word. */
	if (far < nearest->far && far * 2 <= MAX_OF(length, other)) {
		nearest->far = far;
		nearest->word = word;
	}
}

const char *
nearest_hint(const struct nearest *nearest,
    char hint[static NEAREST_HINT_SIZE])
{
	hint[0] = '\0';
	if (nearest->word != NULL)
		snprintf(hint, NEAREST_HINT_SIZE, ": did you mean `%s'?",
		    nearest->word);
	return hint;
}

const char *
nearest_hint_of(const char *text, const char *const *words, size_t count,
    char hint[static NEAREST_HINT_SIZE])
{
	struct nearest nearest;
	size_t i;

	nearest_begin(&nearest, text);
	for (i = 0; i < count; i++)
		nearest_try(&nearest, words[i]);
	return nearest_hint(&nearest, hint);
}
