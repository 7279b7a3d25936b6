/* SPDX-License-Identifier: ISC */
/*
 * Is a text well-formed UTF-8?  For data that may change while it is looked
 * at: nothing that decides is loaded twice.
 */
#include <string.h>

#include "common/compiler.h"
#include "common/utf8.h"

/* The decisions are about loaded copies. */
size_t
utf8_character(const uint8_t *p, size_t size)
{
	uint8_t byte[4], low = 0x80, high = 0xbf;
	size_t length, i;

	for (i = 0; i < 4; i++)
		byte[i] = i < size ? __atomic_load_n(p + i,
		    __ATOMIC_RELAXED) : 0;
	if (byte[0] >= 0xc2 && byte[0] <= 0xdf)
		length = 2;
	else if (byte[0] >= 0xe0 && byte[0] <= 0xef)
		length = 3;
	else if (byte[0] >= 0xf0 && byte[0] <= 0xf4)
		length = 4;
	else
		return 0;
	if (byte[0] == 0xe0)
		low = 0xa0;		/* below: an overlong form */
	else if (byte[0] == 0xed)
		high = 0x9f;		/* surrogates */
	else if (byte[0] == 0xf0)
		low = 0x90;
	else if (byte[0] == 0xf4)
		high = 0x8f;		/* beyond U+10FFFF */
	if (byte[1] < low || byte[1] > high)
		return 0;
	for (i = 2; i < length; i++)
		if (byte[i] < 0x80 || byte[i] > 0xbf)
			return 0;
	return length;
}

/* Any text. */
static bool
characters_valid(const uint8_t *p, size_t size)
{
	uint64_t word;
	size_t length;

	while (size > 0) {
		if (size >= sizeof(word)) {
			memcpy(&word, p, sizeof(word));
			if ((word & UINT64_C(0x8080808080808080)) == 0) {
				p += sizeof(word);
				size -= sizeof(word);
				continue;
			}
		}
		length = 1;
		if (__atomic_load_n(p, __ATOMIC_RELAXED) >= 0x80 &&
		    (length = utf8_character(p, size)) == 0)
			return false;
		p += length;
		size -= length;
	}
	return true;
}

static inline uint64_t
load(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/*
 * Whether none of the first `size' of UTF8_SHORT bytes is beyond ASCII; if they
 * are more, whether all of them are.  Without a branch on the size, which no
 * processor could foresee.
 */
static inline bool
is_ascii(const uint8_t *p, size_t size)
{
	static const uint8_t beyond[2 * UTF8_SHORT] = {
		[0 ... UTF8_SHORT - 1] = 0x80,
	};
	const uint8_t *mask = beyond + UTF8_SHORT -
	    MIN_OF(size, (size_t)UTF8_SHORT);

	return ((load(p) & load(mask)) | (load(p + 8) & load(mask + 8)) |
	    (load(p + 16) & load(mask + 16)) |
	    (load(p + 24) & load(mask + 24))) == 0;
}

bool
utf8_valid(const uint8_t *p, size_t size, size_t room)
{
	while (room >= UTF8_SHORT && is_ascii(p, size)) {
		if (size <= UTF8_SHORT)
			return true;
		p += UTF8_SHORT;
		size -= UTF8_SHORT;
		room -= UTF8_SHORT;
	}
	return characters_valid(p, size);
}

void
utf8_drop_mark(char *text, size_t *size)
{
	static const char mark[3] = {'\xef', '\xbb', '\xbf'};

	if (*size < sizeof(mark) || memcmp(text, mark, sizeof(mark)) != 0)
		return;
	*size -= sizeof(mark);
	memmove(text, text + sizeof(mark), *size);
}
