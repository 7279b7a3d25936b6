/* SPDX-License-Identifier: ISC */
/*
 * The datum program: an Avro schema compiled to a flat, position-independent
 * blob that says how a datum's bytes are walked.  The supervisor makes it
 * (schema/schema.h), puts it into the channel's segment; the worker
 * validates with it, the decimator also splits datums into runs of numbers.
 *
 *	+---------+ 0
 *	| header  | struct datum_program
 *	+---------+
 *	| steps   | struct datum_step[steps]: code, one entry for the whole
 *	|         | datum (step 0), one for each stretch that is not numbers,
 *	|         | one for each recursive record
 *	+---------+
 *	| runs    | struct datum_run[runs]: the datum from front to back
 *	+---------+
 *	| fields  | struct datum_field[fields]: names and types of the numbers
 *	+---------+
 *	| names   | NUL-terminated texts
 *	+---------+
 *
 * RUNS.  Numbers (int, long, float, double, and unions of one of these with
 * null) that occur once in every datum, at the top or in nested records,
 * are fields, numbered from 0 in the order of the datum.  A run is a stretch of
 * fields of one kind: a record of 1000 doubles is one run.  All else (strings,
 * arrays, maps, other unions, enums, booleans...) is DATUM_OTHER: one run for
 * each stretch of it, to be copied.
 *
 * FRAMING.  Where senders put a header before each datum, the program holds
 * its bytes.  A datagram is then headers and datums by turns, one header before
 * each datum; datum_validate() and datum_locate() check the headers and step
 * over them, all else is about bare datums.
 *
 * The interpreter never allocates, has a bounded stack of its own, and works
 * in proportion to the bytes given.  It is right for data that changes while
 * it runs (what is decided on is loaded once), but then its answer is about
 * what it saw: copy first, or check afterwards that nothing was overwritten.
 *
 * What is stricter here than in some Avro readers, so that no archive holds
 * what another reader refuses:
 *	- int, enum and union numbers take at most 5 bytes, long at most 10,
 *	  and none has bits beyond 32 and 64; booleans are 0 or 1
 *	- strings and map keys are valid UTF-8 (no surrogates)
 *	- a block's byte size, where given, is that of its items
 *	- nesting (arrays, maps, recursive records) is at most
 *	  DATUM_DEPTH_MAX deep
 *	- items without bytes (array of null) are at most DATUM_EMPTY_ITEMS_MAX
 */
#ifndef MCRELAY_DATUM_H
#define MCRELAY_DATUM_H

#include <assert.h>
#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/compiler.h"
#include "common/decimate.h"

/* "MCDATUM2", first byte first in memory.  The digit is the version. */
#define DATUM_MAGIC		UINT64_C(0x324d55544144434d)

#define DATUM_SIZE_MAX		65535U	/* bytes in a datum; schemas whose
					 * smallest is larger are refused */
#define DATUM_DEPTH_MAX		64
#define DATUM_EMPTY_ITEMS_MAX	65536U	/* in one datagram */
#define DATUM_STEPS_MAX		(1U << 18)
#define DATUM_NAMES_MAX		(4U << 20)	/* bytes of names */
#define DATUM_NONE		UINT32_MAX	/* no such field */
#define DATUM_LONG_SIZE_MAX	10	/* bytes of a long */
#define DATUM_INT_SIZE_MAX	5	/* of an int, enum or union number */
/* The headers: C3 01 and a fingerprint, or 0 and a schema's number. */
#define DATUM_FRAMING_MIN	5
#define DATUM_FRAMING_MAX	10
/* Datums in 64 KiB when each has a header, and a byte at least. */
#define DATUM_FRAMED_MAX	(65536U / (DATUM_FRAMING_MIN + 1))

enum datum_op {
	DATUM_OP_RETURN,	/* end of an entry */
	DATUM_OP_SKIP,		/* `count' bytes */
	DATUM_OP_BOOLEAN,	/* `count' of them */
	DATUM_OP_INT,
	DATUM_OP_LONG,
	DATUM_OP_BYTES,
	DATUM_OP_STRING,
	DATUM_OP_ENUM,		/* one of `count' symbols */
	DATUM_OP_UNION,		/* `count' JUMPs follow, one a branch */
	DATUM_OP_JUMP,		/* forward to `target' */
	DATUM_OP_FIXED_ITEMS,	/* array of items of `count' bytes each */
	DATUM_OP_ITEMS,		/* array or map: an item's steps follow, then
				 * NEXT, then `target' */
	DATUM_OP_NEXT,		/* end of an item's steps */
	DATUM_OP_CALL,		/* the entry at `target' */
	DATUM_OPS
};

struct datum_step {
	uint32_t	op;		/* enum datum_op */
	uint32_t	count;
	uint32_t	target;		/* a step */
};

enum datum_type {
	DATUM_OTHER,
	DATUM_INT,
	DATUM_LONG,
	DATUM_FLOAT,
	DATUM_DOUBLE,
	DATUM_TYPES
};

enum datum_flag {
	DATUM_NULLABLE = 1,	/* a union with null: [null, T] or [T, null] */
	DATUM_NULL_SECOND = 2,	/* [T, null] */
	/* An instant (logical types timestamp-*, local-timestamp-*, date,
	 * time-*) or the time field: it is carried over from one sample,
	 * never calculated with. */
	DATUM_INSTANT = 4,
	DATUM_TIME = 8,		/* the channel's time field */
	/* In a stream's own program only: an array of numbers, reduced
	 * element by element or as a row of samples.  A run of its own. */
	DATUM_ARRAY = 16,
	DATUM_SAMPLES = 32,
};

struct datum_run {
	uint8_t		type;		/* enum datum_type */
	uint8_t		flags;		/* enum datum_flag, of all fields */
	/* In a stream's own program (schema/schema.h) only: */
	uint8_t		method;		/* 0: the stream's, else 1 + an enum
					 * decimate_method */
	uint8_t		omit;		/* 1: not in the stream's output */
	uint32_t	count;		/* fields; 0 for DATUM_OTHER */
	uint32_t	first;		/* field; for DATUM_OTHER the step at
					 * which its code begins */
	uint32_t	range[2];	/* a double: its method's range, or 0 */
};

struct datum_field {
	uint8_t		type;		/* enum datum_type */
	uint8_t		flags;		/* enum datum_flag */
	uint16_t	reserved;
	uint32_t	run;		/* that it is part of */
	uint32_t	name;		/* offset into the names */
};

struct datum_framing {
	uint8_t		size;		/* bytes; 0: no framing */
	uint8_t		magic;		/* of these tell the framing, the
					 * others the schema */
	uint8_t		bytes[DATUM_FRAMING_MAX];
};

struct datum_program {
	uint64_t	magic;
	uint32_t	size;		/* of the blob, bytes */
	uint32_t	steps;
	uint32_t	runs;
	uint32_t	fields;
	uint32_t	names_size;	/* bytes */
	uint32_t	smallest;	/* bytes of the smallest datum, >= 1 */
	uint32_t	time_field;	/* or DATUM_NONE */
	struct datum_framing framing;
	uint32_t	time_unit_ns;	/* of a time field with a logical type
					 * timestamp-*; 0: not known */
	uint32_t	reserved;
};

/* X(constant, name in the status, text) -- names are relied on by users. */
#define DATUM_ERROR_TABLE(X)						\
	X(DATUM_OK, "ok", "a whole datum")				\
	X(DATUM_NO_DATUM, "empty", "no datum in it")			\
	X(DATUM_SHORT, "short", "ends in the middle of a datum")	\
	X(DATUM_VARINT, "long_range", "a number of more than 64 bits")	\
	X(DATUM_INT_RANGE, "int_range", "an int of more than 32 bits")	\
	X(DATUM_BOOLEAN_RANGE, "boolean_range",				\
	    "a boolean that is not 0 or 1")				\
	X(DATUM_ENUM_RANGE, "enum_range",				\
	    "an enum symbol that does not exist")			\
	X(DATUM_UNION_RANGE, "union_range",				\
	    "a union branch that does not exist")			\
	X(DATUM_LENGTH, "length", "a negative length")			\
	X(DATUM_UTF8, "utf8", "a string that is not UTF-8")		\
	X(DATUM_BLOCK, "block_size",					\
	    "a block of another size than it says")			\
	X(DATUM_ITEMS, "items", "an array of too many empty items")	\
	X(DATUM_DEPTH, "depth", "nested too deeply")			\
	X(DATUM_PROGRAM, "program", "its datum program is damaged")	\
	X(DATUM_UNFRAMED, "unframed", "no header of the framing")	\
	X(DATUM_OTHER_SCHEMA, "other_schema",				\
	    "a header that names another schema")			\
	X(DATUM_QUARANTINED, "quarantined", "two workers have ended at it")

enum datum_error {
#define DATUM_ERROR_CONSTANT(constant, name, text)	constant,
	DATUM_ERROR_TABLE(DATUM_ERROR_CONSTANT)
#undef DATUM_ERROR_CONSTANT
	DATUM_ERRORS
};

/*
 * Whether a blob is a program: NULL when it is, else why not.  Everything
 * that the interpreter relies on is checked, so that a hostile blob can give
 * wrong answers but nothing worse.  `blob' is aligned for uint64_t and must
 * not change any more: from memory that others write, use
 * datum_program_load().
 */
const char	*datum_program_check(const void *blob, size_t size)
		    ATTR_NONNULL ATTR_UNUSED_RESULT;

/* Copies the blob (malloc), then checks the copy: free() it.  NULL with a
 * reason in *why. */
struct datum_program	*datum_program_load(const void *blob, size_t size,
			    const char **why) ATTR_NONNULL ATTR_UNUSED_RESULT;

static inline const struct datum_step *
datum_steps(const struct datum_program *program)
{
	return (const struct datum_step *)(const void *)(program + 1);
}

static inline const struct datum_run *
datum_runs(const struct datum_program *program)
{
	return (const struct datum_run *)(const void *)
	    (datum_steps(program) + program->steps);
}

static inline double
datum_run_range(const struct datum_run *run)
{
	double range;

	static_assert(sizeof(range) == sizeof(run->range), "a double");
	memcpy(&range, run->range, sizeof(range));
	return range;
}

static inline void
datum_run_set_range(struct datum_run *run, double range)
{
	memcpy(run->range, &range, sizeof(range));
}

static inline const struct datum_field *
datum_fields(const struct datum_program *program)
{
	return (const struct datum_field *)(const void *)
	    (datum_runs(program) + program->runs);
}

/* The path of a field, "pos.x"; "" when the datum itself is the number. */
static inline const char *
datum_field_name(const struct datum_program *program, uint32_t field)
{
	return (const char *)(datum_fields(program) + program->fields) +
	    datum_fields(program)[field].name;
}

/*
 * Whether `data' is exactly one or more whole datums, each behind its header
 * when there is framing.  On DATUM_OK *datums is how many, otherwise how many
 * whole ones preceded the error.
 */
enum datum_error	datum_validate(const struct datum_program *program,
			    const uint8_t *data, size_t size, uint32_t *datums)
			    ATTR_NONNULL;

/*
 * The same, for a program with framing and at most 64 KiB of data; end[i] says
 * where datum i ends, which begins framing.size bytes after the end of the
 * datum before it.  `end' has DATUM_FRAMED_MAX entries.
 */
enum datum_error	datum_locate(const struct datum_program *program,
			    const uint8_t *data, size_t size, uint32_t *end,
			    uint32_t *datums) ATTR_NONNULL;

/*
 * Walks the first datum of `data', and says where each run begins: offset[i]
 * from the start of data, offset[program->runs] is the end of the datum.
 * `offset' has program->runs + 1 entries.  Checks all that datum_validate()
 * does; `size' is at most UINT32_MAX.
 */
enum datum_error	datum_split(const struct datum_program *program,
			    const uint8_t *data, size_t size, uint32_t *offset)
			    ATTR_NONNULL;

/*
 * Walks the first datum of `data', with its header when there is framing:
 * *used is how many bytes that takes, *value the datum's number `field', which
 * is an int or a long and never null.  Checks all that datum_validate() does.
 */
enum datum_error	datum_number(const struct datum_program *program,
			    uint32_t field, const uint8_t *data, size_t size,
			    size_t *used, int64_t *value) ATTR_NONNULL;

/* What is wrong with the datum, for operators. */
const char	*datum_error_text(enum datum_error error);
/* The same in a word, for programs. */
const char	*datum_error_name(enum datum_error error);

/*
 * Reads one long at *at, not beyond `end', and moves *at behind it.  0, or
 * DATUM_SHORT, DATUM_VARINT.  Each byte is loaded once.
 */
static inline enum datum_error
datum_get_long(const uint8_t **at, const uint8_t *end, int64_t *value)
{
	const uint8_t *p = *at;
	uint64_t v = 0;
	unsigned shift;
	uint8_t byte;

	for (shift = 0; shift < 70; shift += 7) {
		if (UNLIKELY(p == end))
			return DATUM_SHORT;
		byte = __atomic_load_n(p++, __ATOMIC_RELAXED);
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (LIKELY(byte < 0x80)) {
			if (UNLIKELY(shift == 63 && byte > 1))
				return DATUM_VARINT;
			*at = p;
			*value = (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
			return DATUM_OK;
		}
	}
	return DATUM_VARINT;
}

/* Eight times seven bits out of the bytes of a word, and back. */
static inline uint64_t
datum_pack(uint64_t v)
{
	v = (v & UINT64_C(0x007f007f007f007f)) |
	    (v & UINT64_C(0x7f007f007f007f00)) >> 1;
	v = (v & UINT64_C(0x00003fff00003fff)) |
	    (v & UINT64_C(0x3fff00003fff0000)) >> 2;
	return (v & UINT64_C(0x0fffffff)) |
	    (v & UINT64_C(0x0fffffff00000000)) >> 4;
}

static inline uint64_t
datum_spread(uint64_t v)
{
	v = (v & UINT64_C(0x0fffffff)) |
	    (v & UINT64_C(0x00fffffff0000000)) << 4;
	v = (v & UINT64_C(0x00003fff00003fff)) |
	    (v & UINT64_C(0x0fffc0000fffc000)) << 2;
	return (v & UINT64_C(0x007f007f007f007f)) |
	    (v & UINT64_C(0x3f803f803f803f80)) << 1;
}

/*
 * Reads a long of a datum that has been found good and does not change any
 * more.  Without a loop over its bytes: no processor can foresee their number.
 */
static inline int64_t
datum_good_long(const uint8_t **at, const uint8_t *end)
{
	const uint64_t more = UINT64_C(0x8080808080808080);
	uint64_t word, ends, v;
	enum datum_error error;
	int64_t value;

	if (LIKELY((size_t)(end - *at) >= sizeof(word))) {
		memcpy(&word, *at, sizeof(word));
		word = le64toh(word);
		if (LIKELY((ends = ~word & more) != 0)) {
			/* Up to the first byte that has no other behind it. */
			v = datum_pack(word & (ends ^ (ends - 1)) & ~more);
			*at += __builtin_ctzll(ends) / 8 + 1;
			return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
		}
	}
	error = datum_get_long(at, end, &value);
	assert(error == DATUM_OK);
	return value;
}

/* Writes a long; at most DATUM_LONG_SIZE_MAX bytes.  Returns how many. */
static inline size_t
datum_put_long(uint8_t *out, int64_t value)
{
	uint64_t v = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		out[n++] = (uint8_t)(v | 0x80);
	out[n++] = (uint8_t)v;
	return n;
}

#endif /* MCRELAY_DATUM_H */
