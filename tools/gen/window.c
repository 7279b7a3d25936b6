/* SPDX-License-Identifier: ISC */
/*
 * The sink's memory of sequence numbers.  mcrelay-gen.
 */
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "tools/gen/window.h"

#define WORD_BITS	64

static uint64_t *
word_of(const struct window *window, uint64_t number)
{
	return &window->bitmap[(number & (WINDOW_SIZE - 1)) / WORD_BITS];
}

static uint64_t
bit_of(uint64_t number)
{
	return UINT64_C(1) << number % WORD_BITS;
}

void
window_init(struct window *window, bool from_start)
{
	*window = (struct window){ .from_start = from_start };
	window->bitmap = xcalloc(WINDOW_SIZE / WORD_BITS, sizeof(uint64_t));
}

void
window_free(struct window *window)
{
	free(window->bitmap);
	window->bitmap = NULL;
}

/*
 * Makes `number' the highest.  The bits between stand for numbers that
 * have not come; until now they stood for numbers a window lower.
 */
static void
advance(struct window *window, uint64_t number)
{
	if (number - window->next >= WINDOW_SIZE)
		memset(window->bitmap, 0, WINDOW_SIZE / 8);
	else
		for (uint64_t n = window->next; n < number; n++)
			*word_of(window, n) &= ~bit_of(n);
	*word_of(window, number) |= bit_of(number);
	window->next = number + 1;
	window->distinct++;
}

void
window_add(struct window *window, uint64_t number)
{
	if (!window->begun) {
		window->begun = true;
		if (!window->from_start)
			window->first = window->next = number;
	}
	if (number >= window->next) {
		advance(window, number);
		return;
	}
	if (window->next - number > WINDOW_SIZE) {
		window->stale++;
		return;
	}
	if ((*word_of(window, number) & bit_of(number)) != 0) {
		window->doubled++;
		return;
	}
	*word_of(window, number) |= bit_of(number);
	window->reordered++;
	window->distinct++;
	if (number < window->first)
		window->first = number;
}
