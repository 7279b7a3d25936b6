/* SPDX-License-Identifier: ISC */
/*
 * Typed reading of a node tree: numbers with units, words, yes or no, lists,
 * sections with defaults behind them.  Supervisor only.  Knows forms, not
 * what the values are for.
 */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "common/nearest.h"
#include "common/util.h"
#include "supervisor/conf/value.h"

struct unit {
	const char	*name;
	uint64_t	 factor;
};

/* Largest first: number_text() takes the first that divides. */
static const struct unit size_units[] = {
	{ "TiB", UINT64_C(1) << 40 },
	{ "GiB", UINT64_C(1) << 30 },
	{ "MiB", UINT64_C(1) << 20 },
	{ "KiB", UINT64_C(1) << 10 },
	{ "", 1 },
	{ NULL, 0 },
};

static const struct unit time_units[] = {
	{ "d", 86400 * NS_PER_S },
	{ "h", 3600 * NS_PER_S },
	{ "m", 60 * NS_PER_S },
	{ "s", NS_PER_S },
	{ "ms", NS_PER_MS },
	{ "us", NS_PER_US },
	{ "ns", 1 },
	{ NULL, 0 },
};

static const struct unit no_units[] = {
	{ "", 1 },
	{ NULL, 0 },
};

static const struct {
	const struct unit	*units;
	const char		*form;
} number_forms[] = {
	[UNIT_NONE] = { no_units, "a whole number" },
	[UNIT_BYTES] = { size_units,
	    "a size (a whole number, or one with KiB, MiB, GiB or TiB)" },
	[UNIT_TIME] = { time_units, "a time (a whole number with ns, us, ms, "
	    "s, m, h or d)" },
};

/*** Sections. ***/

void
section_init(struct section *section, struct problem_list *problems,
    const char *name, const struct node *mapping)
{
	*section = (struct section){ .problems = problems, .name = name,
	    .own = mapping };
}

struct place
section_place(const struct section *section)
{
	if (section->own != NULL)
		return section->own->place;
	if (section->fallback != NULL)
		return section->fallback->place;
	return (struct place){ 0, 0 };
}

static void
wrong_kind(const struct section *section, const struct node *node,
    const char *key, const char *expected)
{
	if (node->kind != NODE_BAD)
		problem_error(section->problems, node->place,
		    "`%s' has to be %s, not %s", key, expected,
		    node_kind_name(node));
}

static bool
was_asked(const struct section *section, const char *key)
{
	size_t i;

	for (i = 0; i < section->asked_count; i++)
		if (strcmp(section->asked[i], key) == 0)
			return true;
	return false;
}

static void
remember(struct section *section, const char *key)
{
	if (was_asked(section, key))
		return;
	assert(section->asked_count < SECTION_KEYS_MAX);
	section->asked[section->asked_count++] = key;
}

static const struct node *
find(const struct section *section, const char *key)
{
	const struct node *node = NULL;

	if (section->own != NULL)
		node = node_child(section->own, key);
	if (node == NULL && section->fallback != NULL)
		node = node_child(section->fallback, key);
	return node;
}

const struct node *
section_get(struct section *section, const char *key)
{
	const struct node *node = find(section, key);

	remember(section, key);
	if (node == NULL || node->kind == NODE_BAD)
		return NULL;
	if (node->kind == NODE_SCALAR && node->text[0] == '\0') {
		problem_error(section->problems, node->place,
		    "`%s' has no value", key);
		return NULL;
	}
	return node;
}

/* The mapping of that name behind the section, for the child to fall back. */
static const struct node *
fallback_mapping(const struct section *parent, const char *key)
{
	const struct node *node;

	if (parent->fallback == NULL)
		return NULL;
	node = node_child(parent->fallback, key);
	return node != NULL && node->kind == NODE_MAPPING ? node : NULL;
}

bool
section_enter(struct section *parent, const char *key, struct section *child)
{
	const struct node *node = section_get(parent, key);
	const struct node *fallback = fallback_mapping(parent, key);

	section_init(child, parent->problems, key, NULL);
	child->partial = parent->partial;
	if (node == NULL)
		return false;
	if (node->kind != NODE_MAPPING) {
		wrong_kind(parent, node, key, "a mapping");
		return false;
	}
	/* Only what stands in the file itself is checked for unknown keys:
	 * defaults are read once on their own. */
	child->own = node == fallback ? NULL : node;
	child->fallback = fallback;
	return true;
}

bool
section_item(const struct section *parent, const char *name,
    const struct node *item, struct section *child)
{
	section_init(child, parent->problems, name, item);
	child->item = true;
	if (item->kind == NODE_MAPPING)
		return true;
	if (item->kind != NODE_BAD)
		problem_error(parent->problems, item->place,
		    "each item of `%s' has to be a mapping, not %s", name,
		    node_kind_name(item));
	return false;
}

bool
section_is_list(const struct section *section, const char *key)
{
	const struct node *node = find(section, key);

	return node != NULL && node->kind == NODE_LIST;
}

bool
section_item_default(const struct section *parent, const char *name,
    const struct node *item, struct section *child)
{
	bool good = section_item(parent, name, item, child);

	child->fallback = fallback_mapping(parent, name);
	return good;
}

static void
unknown_key(const struct section *section, const struct node *node)
{
	const char *in = section->name != NULL ? " in `" : "";
	const char *name = section->name != NULL ? section->name : "";
	const char *end = section->name != NULL ? "'" : "";
	char hint[NEAREST_HINT_SIZE];

	if (problem_enough(section->problems))
		return;
	problem_error(section->problems, node->key_place,
	    "unknown key `%s'%s%s%s%s", node->key, in, name, end,
	    nearest_hint_of(node->key, section->asked, section->asked_count,
	    hint));
}

void
section_close(const struct section *section)
{
	const struct node *node;

	if (section->own == NULL)
		return;
	for (node = section->own->first; node != NULL; node = node->next)
		if (node->key != NULL && !was_asked(section, node->key))
			unknown_key(section, node);
}

void
section_missing(const struct section *section, const char *key)
{
	/* An empty value has been reported, a bad one as well. */
	if (section->partial || find(section, key) != NULL)
		return;
	if (section->name == NULL)
		problem_error(section->problems, section_place(section),
		    "there is no `%s'", key);
	else
		problem_error(section->problems, section_place(section),
		    "%s`%s' has no `%s'", section->item ? "an item of " : "",
		    section->name, key);
}

const struct node *
section_scalar(struct section *section, const char *key, bool required)
{
	const struct node *node = section_get(section, key);

	if (node == NULL) {
		if (required)
			section_missing(section, key);
		return NULL;
	}
	if (node->kind == NODE_SCALAR)
		return node;
	wrong_kind(section, node, key, "a single value");
	return NULL;
}

const struct node *
section_list(struct section *section, const char *key, unsigned max)
{
	const struct node *node = section_get(section, key);

	if (node == NULL)
		return NULL;
	if (node->kind != NODE_LIST) {
		wrong_kind(section, node, key, "a list");
		return NULL;
	}
	if (node->children > max) {
		problem_error(section->problems, node->place,
		    "`%s' has %u items, more than %u", key, node->children,
		    max);
		return NULL;
	}
	return node;
}

/*** Numbers. ***/

void
number_text(uint64_t value, enum number_unit unit,
    char text[static NUMBER_TEXT_SIZE])
{
	const struct unit *u = number_forms[unit].units;

	while (u->factor > 1 && (value == 0 || value % u->factor != 0))
		u++;
	(void)snprintf(text, NUMBER_TEXT_SIZE, "%" PRIu64 "%s",
	    value / u->factor, value == 0 ? "" : u->name);
}

/* False when the text does not have the form; beyond 64 bits is UINT64_MAX. */
static bool
parse_number(const char *text, enum number_unit unit, uint64_t *value)
{
	const struct unit *u = number_forms[unit].units;
	const char *p = text;
	uint64_t n = 0;
	bool huge = false;

	for (; *p >= '0' && *p <= '9'; p++)
		huge |= __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n);
	if (p == text)
		return false;
	while (u->name != NULL && strcmp(p, u->name) != 0)
		u++;
	/* Nothing is nothing in any unit. */
	if (u->name == NULL && !(*p == '\0' && n == 0 && !huge))
		return false;
	huge |= u->name != NULL && __builtin_mul_overflow(n, u->factor, &n);
	*value = huge ? UINT64_MAX : n;
	return true;
}

static void
out_of_range(const struct section *section, const struct number_key *key,
    const struct node *node)
{
	char min[NUMBER_TEXT_SIZE], max[NUMBER_TEXT_SIZE];

	number_text(key->min, key->unit, min);
	number_text(key->max, key->unit, max);
	problem_error(section->problems, node->place,
	    "`%s' has to be %sfrom %s to %s, not %s", key->name,
	    key->zero ? "0 or " : "", min, max, node->text);
}

uint64_t
section_number(struct section *section, const struct number_key *key,
    const struct node **where)
{
	const struct node *node;
	uint64_t value;

	if (where != NULL)
		*where = NULL;
	node = section_scalar(section, key->name, key->required);
	if (node == NULL)
		return key->preset;
	if (!parse_number(node->text, key->unit, &value)) {
		problem_error(section->problems, node->place,
		    "`%s' has to be %s, not `%s'", key->name,
		    number_forms[key->unit].form, node->text);
		return key->preset;
	}
	if ((value < key->min || value > key->max) &&
	    !(key->zero && value == 0)) {
		out_of_range(section, key, node);
		return key->preset;
	}
	if (where != NULL)
		*where = node;
	return value;
}

/*** Words. ***/

void
words_text(const char *const *words, char *text, size_t size)
{
	size_t used = 0;
	int i;

	text[0] = '\0';
	for (i = 0; words[i] != NULL && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s",
		    i == 0 ? "" : words[i + 1] == NULL ? " or " : ", ",
		    words[i]);
}

int
section_word(struct section *section, const char *key,
    const char *const *words, int preset, const struct node **where)
{
	const struct node *node = section_scalar(section, key, preset < 0);
	char choice[256];
	int i;

	if (where != NULL)
		*where = NULL;
	if (node == NULL)
		return preset;
	for (i = 0; words[i] != NULL; i++)
		if (strcmp(node->text, words[i]) == 0) {
			if (where != NULL)
				*where = node;
			return i;
		}
	words_text(words, choice, sizeof(choice));
	problem_error(section->problems, node->place,
	    "`%s' has to be %s, not `%s'", key, choice, node->text);
	return preset;
}

bool
section_bool(struct section *section, const char *key, bool preset)
{
	static const char *const words[] = { "false", "true", NULL };

	return section_word(section, key, words, preset, NULL) > 0;
}
