/* SPDX-License-Identifier: ISC */
/*
 * Reading files with bounds, and checking that they are text.  Supervisor
 * only.
 */
#include <sys/stat.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/utf8.h"
#include "common/util.h"
#include "supervisor/conf/text.h"
#include "supervisor/far_file.h"

static char *
read_all(int fd, size_t limit, size_t *size, char why[static TEXT_WHY_SIZE])
{
	/* One byte more than allowed: the file may grow under our hands. */
	char *text = xmalloc(limit + 2);
	size_t used = 0;
	ssize_t n;

	while (used <= limit) {
		n = read(fd, text + used, limit + 1 - used);
		if (n == 0) {
			text[used] = '\0';
			*size = used;
			return xrealloc(text, used + 1);
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		used += (size_t)n;
	}
	if (used > limit)
		(void)snprintf(why, TEXT_WHY_SIZE,
		    "larger than %zu bytes", limit);
	else
		(void)snprintf(why, TEXT_WHY_SIZE, "%s", strerror(errno));
	free(text);
	return NULL;
}

char *
text_read(const char *file, size_t limit, size_t *size,
    char why[static TEXT_WHY_SIZE])
{
	struct stat st;
	char *text = NULL;
	int fd;

	fd = far_file_open(file, &st);
	if (fd == -1)
		(void)snprintf(why, TEXT_WHY_SIZE, "%s",
		    far_file_error(errno));
	else if (!S_ISREG(st.st_mode))
		(void)snprintf(why, TEXT_WHY_SIZE, "not a regular file");
	else
		text = read_all(fd, limit, size, why);
	if (text != NULL) {
		utf8_drop_mark(text, size);
		text[*size] = '\0';
	}
	if (fd != -1)
		(void)close(fd);
	return text;
}

/*
 * The character at `p' and its length in bytes, 0 when it is not UTF-8:
 * overlong forms, surrogates and what lies beyond U+10FFFF included.
 */
static size_t
decode(const unsigned char *p, size_t left, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length, i;

	*c = *p;
	if (*p < 0x80)
		return 1;
	length = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
	if (*p < 0xc2 || *p > 0xf4 || left < length)
		return 0;
	*c = *p & (0xffU >> (length + 1));
	for (i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (p[i] & 0x3fU);
	}
	if (*c < least[length] || *c > 0x10ffff ||
	    (*c >= 0xd800 && *c <= 0xdfff))
		return 0;
	return length;
}

/* What YAML calls printable, and line breaks. */
static bool
printable(uint32_t c)
{
	return c == '\t' || c == '\n' || c == '\r' ||
	    (c >= 0x20 && c <= 0x7e) || c == 0x85 ||
	    (c >= 0xa0 && c < 0xfffe && c != 0xfeff) || c >= 0x10000;
}

const char *
text_check(const char *text, size_t size, struct place *place)
{
	const unsigned char *p = (const unsigned char *)text;
	const unsigned char *end = p + size;
	uint32_t c;
	size_t n;

	*place = (struct place){ 1, 1 };
	for (; p < end; p += n) {
		n = decode(p, (size_t)(end - p), &c);
		if (n == 0)
			return "not UTF-8 text";
		if (c == 0)
			return "a NUL byte: not a text file";
		if (!printable(c))
			return "a control character";
		if (c == '\n' || (c == '\r' && (p + 1 == end ||
		    p[1] != '\n'))) {
			place->line++;
			place->column = 1;
		} else if (c != '\r')
			place->column++;
	}
	return NULL;
}
