/* SPDX-License-Identifier: ISC */
/*
 * A schema between text and program: private to schema/.
 *
 * Types form a graph: a reference by name points to the one node of that name.
 * Nodes belong to the context, texts in them to its JSON document.
 */
#ifndef MCRELAY_SCHEMA_PRIV_H
#define MCRELAY_SCHEMA_PRIV_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "schema/schema.h"
#include "schema/tree.h"

extern const char *const schema_type_names[SCHEMA_TYPES];

/* A field of a record; the items or values; a branch. */
struct schema_child {
	const char		*name;		/* of a field */
	json_t			*json;		/* the field in the text */
	json_t			*fallback;	/* a field's default, or NULL */
	struct schema_node	*node;
};

/* No datum of this type ever ends. */
#define SCHEMA_ENDLESS		UINT64_MAX

struct schema_node {
	enum schema_type	 type;
	enum schema_logical	 logical;
	bool			 instant;	/* logical type of a time */
	bool			 timestamp;	/* one that has a date, too */
	uint32_t		 unit_ns;	/* of an instant since 1970 */
	bool			 walked;	/* of no fixed size, or with
						 * bytes that can be wrong */
	char			*name;		/* full name, or NULL */
	json_t			*json;		/* where it is defined */
	bool			 derived;	/* written out already */
	json_t			*symbols;	/* of an enum */
	uint32_t		 size;		/* of a fixed, bytes */
	uint32_t		 uses;		/* of a named type */
	uint64_t		 smallest;	/* bytes, or SCHEMA_ENDLESS */
	uint32_t		 depth;		/* frames of the interpreter
						 * that each datum needs */
	struct schema_child	*child;
	size_t			 children;
	uint32_t		 entry;		/* its code, when called */
	bool			 queued;	/* for code that is called */
	size_t			 number;	/* in a tree */
	bool			 written;	/* to the canonical form */
	struct schema_node	*next;		/* in the order of the text */
	struct schema_node	*previous;
	struct schema_node	*next_name;	/* same hash */
};

#define SCHEMA_NAME_SLOTS	1024

struct schema_context {
	struct schema_result	*result;
	struct schema_plan	*plan;		/* or NULL */
	json_t			*json;
	struct schema_node	*first;
	struct schema_node	*last;
	struct schema_node	*names[SCHEMA_NAME_SLOTS];
	bool			 bare_names;	/* used in a namespace, without
						 * having one; not in C */
	char			*path;		/* of the field at hand */
	size_t			 path_size;	/* bytes in use, no NUL */
	size_t			 path_room;
};

/*
 * Sets the result's error, unless there is one already: "field pos.x: ...",
 * or "top level: ..." where the path is empty.  Always false.
 */
bool	schema_error(struct schema_context *c, const char *fmt, ...)
	    ATTR_PRINTF(2, 3);
void	schema_warning(struct schema_context *c, const char *fmt, ...)
	    ATTR_PRINTF(2, 3);

/* Enters a field (or "[]", "{}"); returns what schema_leave() wants. */
size_t	schema_enter(struct schema_context *c, const char *name);
void	schema_leave(struct schema_context *c, size_t path_size);

struct schema_node	*schema_node_new(struct schema_context *c,
			    enum schema_type type);
void	schema_node_add(struct schema_node *node, const char *name,
	    struct schema_node *child);
/* Takes over `name'.  False when there is one of this name already. */
bool	schema_node_name(struct schema_context *c, struct schema_node *node,
	    char *name);
struct schema_node	*schema_node_find(const struct schema_context *c,
			    const char *name);
void	schema_context_free(struct schema_context *c);

/* The text as a graph of types (schema_parse.c); NULL with an error. */
struct schema_node	*schema_parse(struct schema_context *c,
			    const char *text, size_t size);

/* Sizes, defaults, schemas without datums (schema_check.c). */
bool	schema_check(struct schema_context *c, struct schema_node *top);

/* Its Parsing Canonical Form; free() it.  Once for each graph
 * (schema_canonical.c). */
char	*schema_canonical(struct schema_node *top);

/* The program into c->result (schema_code.c). */
bool	schema_encode(struct schema_context *c, struct schema_node *top,
	    const char *time_field);

/* The enum datum_type of a number, or of a union of one and null: *number is
 * its own node, *flags have DATUM_NULLABLE and so on; else DATUM_OTHER. */
uint8_t	schema_number(struct schema_node *node, struct schema_node **number,
	    uint8_t *flags);
/* The same for an array of numbers, if c->plan wants them. */
uint8_t	schema_array(const struct schema_context *c,
	    const struct schema_node *node, uint8_t *flags);

/*
 * What c->plan has to say about the field whose path is c->path
 * (schema_plan.c).  schema_plan_note() is for each that is met.
 */
void	schema_plan_note(struct schema_context *c, bool number);
/* As in struct datum_run; *range is the method's, or 0. */
uint8_t	schema_plan_method(const struct schema_context *c, double *range);
enum schema_keep {
	KEEP_NONE,
	KEEP_SOME,	/* of the fields below it */
	KEEP_ALL,
};
enum schema_keep	schema_plan_keep(const struct schema_context *c);

/* The schema of the plan's output into c->result (schema_derive.c).
 * `time_path' is the time field's, or NULL. */
bool	schema_derive(struct schema_context *c, struct schema_node *top,
	    const char *time_path);

#endif /* MCRELAY_SCHEMA_PRIV_H */
