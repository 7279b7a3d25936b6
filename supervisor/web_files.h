/* SPDX-License-Identifier: ISC */
/*
 * The files that say who may read what mcrelay-web serves: certificate, key,
 * users.  They are read and checked here, since mcrelay-web opens none, and
 * handed over as a memory file (common/web_config.h).  Supervisor only.
 *
 * A key is nowhere else: it is read into that file, which nobody else has and
 * which is no part of a core; and who looks at it, and makes copies, is a
 * process of its own that ends.
 */
#ifndef MCRELAY_WEB_FILES_H
#define MCRELAY_WEB_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "supervisor/conf/conf.h"

/* What is larger is no certificate, key or list of users. */
#define WEB_FILE_MAX	((size_t)1024 * 1024)

struct web_files {
	int		fd;		/* -1: none */
	/* When the first certificate of the chain does; Unix time, 0: none. */
	int64_t		expires_s;
};

/* Reads and checks what the configuration names.  False when something is
 * wrong, which is reported; the rest is closed then. */
bool	web_files_open(struct web_files *files, const struct web_conf *conf,
	    struct conf_problems *problems) ATTR_NONNULL;
void	web_files_close(struct web_files *files) ATTR_NONNULL;
/* Whether both say the same. */
bool	web_files_same(const struct web_files *a, const struct web_files *b)
	    ATTR_NONNULL;

/*
 * web_check.c: has a process look at the texts behind the header; reports what
 * it finds, and returns when the certificate expires.
 */
int64_t	web_check(const struct web_conf *conf,
	    const struct web_config *config, const char *text,
	    struct conf_problems *problems) ATTR_NONNULL;
/* web_users.c: what is wrong with a list of users is reported, with its
 * line. */
void	web_users_check(const char *path, const char *text,
	    struct conf_problems *problems) ATTR_NONNULL;

/*
 * web_tls.c: the same for a certificate with its chain, and its key; returns
 * when it expires, 0: it cannot be used.  One that soon will, or has, is warned
 * of.
 */
int64_t	web_tls_check(const struct web_conf *conf, const char *certificate,
	    const char *key, struct conf_problems *problems) ATTR_NONNULL;
/* Before that it is to be renewed. */
#define WEB_EXPIRY_WARN_S	(14 * 24 * 3600)

#endif /* MCRELAY_WEB_FILES_H */
