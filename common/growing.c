/* SPDX-License-Identifier: ISC */
/*
 * A text that grows at its end.  Any process.
 */
#include "common/growing.h"
#include "common/util.h"

#define ROOM_MIN	((size_t)65536)

void
growing_reserve(struct growing *growing, size_t more)
{
	if (growing->room - growing->size >= more)
		return;
	do
		growing->room = MAX_OF(growing->room * 2, ROOM_MIN);
	while (growing->room - growing->size < more);
	growing->text = xrealloc(growing->text, growing->room);
}

void
growing_number(struct growing *growing, uint64_t value, size_t digits)
{
	char text[24], *end = text + sizeof(text), *first = end;

	do {
		*--first = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0 || (size_t)(end - first) < digits);
	growing_put(growing, first, (size_t)(end - first));
}
