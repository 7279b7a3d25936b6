/* SPDX-License-Identifier: ISC */
/*
 * Typed reading of a node tree.  Supervisor only.
 *
 * A section is a mapping of the file together with the mapping of the same
 * name in `defaults', if any: a key is looked up in the first, then in the
 * second, so defaults merge at every depth without being copied.
 *
 * Each getter remembers the key it asked for.  section_close() reports the
 * keys of the file that nobody asked for: so a reader must ask for every key
 * it knows, always.  Each getter reports what is wrong with the value it
 * finds, and then returns as if the key were absent.
 */
#ifndef MCRELAY_CONF_VALUE_H
#define MCRELAY_CONF_VALUE_H

#include "supervisor/conf/node.h"

#define SECTION_KEYS_MAX	24

struct section {
	struct problem_list	*problems;
	const char		*name;		/* NULL: the top level */
	bool			 item;		/* of the list of that name */
	const struct node	*own;		/* NULL: all is by default */
	const struct node	*fallback;	/* NULL: no defaults */
	/* This is `defaults' itself: what is required may be missing. */
	bool			 partial;
	const char		*asked[SECTION_KEYS_MAX];
	size_t			 asked_count;
};

enum number_unit {
	UNIT_NONE,
	UNIT_BYTES,
	UNIT_TIME,	/* nanoseconds */
};

/* What a number may be: one of these for each key that is one. */
struct number_key {
	const char	*name;
	enum number_unit unit;
	uint64_t	 min;
	uint64_t	 max;
	uint64_t	 preset;	/* when absent */
	bool		 zero;		/* 0 is allowed as well */
	bool		 required;
};

/* A section that is an item of a list, or the top level. */
void	section_init(struct section *section, struct problem_list *problems,
	    const char *name, const struct node *mapping);
/*
 * The mapping under `key'.  False when there is none; the section is then
 * empty, and reading from it yields the presets.
 */
bool	section_enter(struct section *parent, const char *key,
	    struct section *child);
/* An item of a list; false (and reported) when it is not a mapping. */
bool	section_item(const struct section *parent, const char *name,
	    const struct node *item, struct section *child);
/* The same, where the section may be a list of mappings instead: what an item
 * does not say is in the mapping of that name in `defaults'. */
bool	section_is_list(const struct section *section, const char *key);
bool	section_item_default(const struct section *parent, const char *name,
	    const struct node *item, struct section *child);
void	section_close(const struct section *section);
/* Where to report what is wrong with the section as a whole. */
struct place	section_place(const struct section *section);

/* The node of a key, whatever it is, or NULL; an empty value is reported. */
const struct node	*section_get(struct section *section, const char *key);
/* The same for a scalar, and for a list of at most `max' items. */
const struct node	*section_scalar(struct section *section,
			    const char *key, bool required);
const struct node	*section_list(struct section *section,
			    const char *key, unsigned max);

/*
 * A number: `*node' (may be NULL) is where it stands, NULL when the preset
 * is returned.
 */
uint64_t	section_number(struct section *section,
		    const struct number_key *key, const struct node **node);
bool		section_bool(struct section *section, const char *key,
		    bool preset);
/* An index into `words', which end with NULL; `preset' when absent. */
int		section_word(struct section *section, const char *key,
		    const char *const *words, int preset,
		    const struct node **node);

/* "a, b or c", for messages. */
void	words_text(const char *const *words, char *text, size_t size)
	    ATTR_NONNULL;

/* Reports that a key is missing, unless it was there and wrong. */
void	section_missing(const struct section *section, const char *key);

/* A text for a size ("8 MiB") or time ("10 ms"), as exact as the value. */
#define NUMBER_TEXT_SIZE	32
void	number_text(uint64_t value, enum number_unit unit,
	    char text[static NUMBER_TEXT_SIZE]);

#endif /* MCRELAY_CONF_VALUE_H */
