/* SPDX-License-Identifier: ISC */
/*
 * JSON to an array of nodes.  Any process that prints metrics.  Whatever the
 * text is, nothing beyond it is touched: it ends in a NUL, which is in none.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/utf8.h"
#include "common/util.h"
#include "metrics/document.h"

#define DEPTH_MAX	32U

struct reading {
	struct document	*document;
	char		*at;
	unsigned	 depth;
};

static bool	read_value(struct reading *reading, const char *name);

static void
skip_space(struct reading *reading)
{
	while (*reading->at == ' ' || *reading->at == '\t' ||
	    *reading->at == '\r' || *reading->at == '\n')
		reading->at++;
}

static bool
take(struct reading *reading, char c)
{
	skip_space(reading);
	if (*reading->at != c)
		return false;
	reading->at++;
	return true;
}

/* Where it is until the next one comes: the array may move. */
static struct node *
add_node(struct document *document, const char *name, enum node_type type)
{
	if (document->count == document->room) {
		document->room = MAX_OF(document->room * 2, (size_t)256);
		document->node = xrealloc(document->node, document->room *
		    sizeof(*document->node));
	}
	document->node[document->count] = (struct node){.name = name,
	    .type = type, .span = 1};
	return &document->node[document->count++];
}

/*** Strings. ***/

/* Four digits, or -1. */
static long
read_unit(const char *at)
{
	char digits[5] = "";

	if (strspn(at, "0123456789abcdefABCDEF") < 4)
		return -1;
	memcpy(digits, at, 4);
	return strtol(digits, NULL, 16);
}

/* Behind \u: the character, with the other half of a pair; -1: none. */
static long
read_character(char **at)
{
	long high = read_unit(*at), low;

	if (high <= 0)
		return -1;
	*at += 4;
	if (high < 0xd800 || high > 0xdfff)
		return high;
	if (high > 0xdbff || (*at)[0] != '\\' || (*at)[1] != 'u')
		return -1;
	low = read_unit(*at + 2);
	if (low < 0xdc00 || low > 0xdfff)
		return -1;
	*at += 6;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static char *
put_character(char *to, long character)
{
	unsigned c = (unsigned)character, bits;

	if (c < 0x80) {
		*to++ = (char)c;
		return to;
	}
	bits = c < 0x800 ? 6 : c < 0x10000 ? 12 : 18;
	*to++ = (char)((bits == 6 ? 0xc0 : bits == 12 ? 0xe0 : 0xf0) |
	    c >> bits);
	for (; bits > 0; bits -= 6)
		*to++ = (char)(0x80 | (c >> (bits - 6) & 0x3f));
	return to;
}

/* What an escape stands for goes where it began, which is never shorter. */
static bool
read_escape(char **from, char **to)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char values[] = "\"\\/\b\f\n\r\t";
	const char *letter;
	long character;

	if (**from == 'u') {
		++*from;
		character = read_character(from);
		if (character == -1)
			return false;
		*to = put_character(*to, character);
		return true;
	}
	letter = **from == '\0' ? NULL : strchr(letters, **from);
	if (letter == NULL)
		return false;
	*(*to)++ = values[letter - letters];
	++*from;
	return true;
}

/* Behind the quote; NULL: it is none.  In its place, with a NUL at its end. */
static char *
read_string(struct reading *reading)
{
	char *text = reading->at, *from = text, *to;

	while ((unsigned char)*from >= ' ' && *from != '"' && *from != '\\')
		from++;
	for (to = from; *from != '"'; ) {
		if ((unsigned char)*from < ' ')
			return NULL;
		if (*from != '\\')
			*to++ = *from++;
		else if (from++, !read_escape(&from, &to))
			return NULL;
	}
	*to = '\0';
	reading->at = from + 1;
	return text;
}

/*** Values. ***/

static size_t
skip_digits(struct reading *reading)
{
	const char *first = reading->at;

	while (*reading->at >= '0' && *reading->at <= '9')
		reading->at++;
	return (size_t)(reading->at - first);
}

static bool
read_number(struct reading *reading, struct node *node)
{
	const char *first = reading->at, *digits = first + (*first == '-');
	size_t count;

	reading->at += *first == '-';
	count = skip_digits(reading);
	if (count == 0 || (digits[0] == '0' && count > 1))
		return false;
	errno = 0;
	node->number = strtoll(first, NULL, 10);
	node->type = errno == 0 ? NODE_NUMBER : NODE_OTHER;
	if (*reading->at == '.') {
		node->type = NODE_OTHER;
		reading->at++;
		if (skip_digits(reading) == 0)
			return false;
	}
	if (*reading->at != 'e' && *reading->at != 'E')
		return true;
	node->type = NODE_OTHER;
	reading->at++;
	reading->at += *reading->at == '+' || *reading->at == '-';
	return skip_digits(reading) > 0;
}

static bool
read_word(struct reading *reading, const char *name)
{
	static const struct {
		const char	*word;
		enum node_type	 type;
		int64_t		 number;
	} words[] = {
		{"true", NODE_TRUTH, 1}, {"false", NODE_TRUTH, 0},
		{"null", NODE_OTHER, 0},
	};
	size_t i, size;

	for (i = 0; i < NITEMS(words); i++) {
		size = strlen(words[i].word);
		if (strncmp(reading->at, words[i].word, size) != 0)
			continue;
		reading->at += size;
		add_node(reading->document, name, words[i].type)->number =
		    words[i].number;
		return true;
	}
	return read_number(reading, add_node(reading->document, name,
	    NODE_OTHER));
}

static bool
read_member(struct reading *reading)
{
	const char *name;

	if (!take(reading, '"'))
		return false;
	name = read_string(reading);
	return name != NULL && take(reading, ':') &&
	    read_value(reading, name);
}

/* Behind the bracket. */
static bool
read_nested(struct reading *reading, const char *name, bool object)
{
	struct document *document = reading->document;
	size_t self = document->count;
	char end = object ? '}' : ']';
	bool more = !take(reading, end);

	(void)add_node(document, name, object ? NODE_OBJECT : NODE_ARRAY);
	if (++reading->depth > DEPTH_MAX)
		return false;
	while (more) {
		if (object ? !read_member(reading) : !read_value(reading,
		    NULL))
			return false;
		more = take(reading, ',');
		if (!more && !take(reading, end))
			return false;
	}
	reading->depth--;
	document->node[self].span = (uint32_t)(document->count - self);
	return true;
}

static bool
read_value(struct reading *reading, const char *name)
{
	const char *text;

	if (take(reading, '{'))
		return read_nested(reading, name, true);
	if (take(reading, '['))
		return read_nested(reading, name, false);
	if (!take(reading, '"'))
		return read_word(reading, name);
	text = read_string(reading);
	add_node(reading->document, name, NODE_TEXT)->text = text;
	return text != NULL;
}

/*** What others call. ***/

struct document *
document_read(const char *text, size_t size)
{
	struct document *document;
	struct reading reading;

	if (size >= UINT32_MAX || memchr(text, '\0', size) != NULL ||
	    !utf8_valid((const uint8_t *)text, size, size))
		return NULL;
	document = xcalloc(1, sizeof(*document));
	document->text = xmalloc(size + 1);
	memcpy(document->text, text, size);
	document->text[size] = '\0';
	reading = (struct reading){document, document->text, 0};
	if (read_value(&reading, NULL)) {
		skip_space(&reading);
		if (reading.at == document->text + size)
			return document;
	}
	document_free(document);
	return NULL;
}

void
document_free(struct document *document)
{
	if (document == NULL)
		return;
	free(document->node);
	free(document->text);
	free(document);
}

size_t
node_count(const struct node *node)
{
	const struct node *in;
	size_t count = 0;

	NODE_FOREACH(in, node)
		count++;
	return count;
}
