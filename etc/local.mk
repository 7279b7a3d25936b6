# SPDX-License-Identifier: ISC
# Included by the Makefile.am of the top directory.

# Alerts, a page for each, and a board.
prometheusdir = $(pkgdatadir)/prometheus
dist_prometheus_DATA = etc/prometheus/mcrelay.rules.yml
grafanadir = $(pkgdatadir)/grafana
dist_grafana_DATA = etc/grafana/mcrelay.json
EXTRA_DIST += etc/rc.d/mcrelayd etc/Containerfile etc/grafana/make-board etc/grafana/tables.py
runbookdir = $(docdir)/runbook
dist_runbook_DATA = doc/runbook/archive-stuck.md doc/runbook/certificate.md \
	doc/runbook/degraded.md doc/runbook/disk-full.md doc/runbook/down.md \
	doc/runbook/flapping.md doc/runbook/loss.md \
	doc/runbook/no-standby.md doc/runbook/nobody-relays.md \
	doc/runbook/not-forwarded.md doc/runbook/not-serving.md doc/runbook/outage-budget.md \
	doc/runbook/stale.md doc/runbook/turns.md
dist_doc_DATA = doc/containers.md doc/kafka.md doc/raspberry-pi.md \
	etc/mcrelay.yaml etc/gyro.avsc etc/mcrelay.sysctl.conf \
	etc/example/accel.avsc

# For each shell one file, which bash and fish look for by the name of each
# program, and zsh by its first line.
completionsdir = $(datadir)/bash-completion/completions
dist_completions_DATA = etc/bash-completion/mcrelayctl
fishdir = $(datadir)/fish/vendor_completions.d
dist_fish_DATA = etc/fish-completion/mcrelayctl.fish
zshdir = $(datadir)/zsh/site-functions
dist_zsh_DATA = etc/zsh-completion/_mcrelayctl
COMPLETED = mcrelayd mcrelay-cat mcrelay-gen mcrelay-replay mcrelay-verify

# Manual pages, rules and board have the paths of a package; installed they have
# those of this build.
PATHS_IN = $(dist_man_MANS) $(man_MANS) $(dist_prometheus_DATA) \
	$(dist_grafana_DATA)
TO_PATHS = $(SED) -e 's|/etc/mcrelay\.yaml|$(sysconfdir)/mcrelay.yaml|g' \
	-e 's|/etc/mcrelay/|$(sysconfdir)/mcrelay/|g' \
	-e 's|/run/mcrelay|$(runstatedir)/mcrelay|g' \
	-e 's|/usr/sbin/mcrelay|$(sbindir)/mcrelay|g' \
	-e 's|/usr/libexec/mcrelay|$(pkglibexecdir)|g' \
	-e 's|/usr/share/doc/mcrelay|$(docdir)|g' \
	-e 's|/usr/share/mcrelay|$(pkgdatadir)|g'

# mcrelay.yaml.example is what ./quickstart runs, mcrelay.yaml for a service.
install-data-hook:
	@for file in $(PATHS_IN); do \
		name=$${file##*/}; \
		case $$file in \
		man/*) to=$(mandir)/man$${file##*.};; \
		etc/prometheus/*) to=$(prometheusdir);; \
		*) to=$(grafanadir);; \
		esac; \
		to="$(DESTDIR)$$to/$$name"; \
		test ! -f "$$to" || { $(TO_PATHS) "$(srcdir)/$$file" >"$$to.new" \
		    && cat "$$to.new" >"$$to" && rm "$$to.new"; } || exit 1; \
	done
	@$(MKDIR_P) "$(DESTDIR)$(completionsdir)" "$(DESTDIR)$(fishdir)"
	@for name in $(COMPLETED); do \
		ln -sf mcrelayctl "$(DESTDIR)$(completionsdir)/$$name" && \
		    ln -sf mcrelayctl.fish \
		    "$(DESTDIR)$(fishdir)/$$name.fish" || exit 1; \
	done
	@$(MKDIR_P) "$(DESTDIR)$(docdir)"
	$(INSTALL_DATA) "$(srcdir)/etc/example/mcrelay.yaml" \
	    "$(DESTDIR)$(docdir)/mcrelay.yaml.example"
	@test -n "$(DESTDIR)" || printf '%s\n' \
	    "To try it, as any user, in a directory of your own:" \
	    "    cp $(docdir)/accel.avsc ." \
	    "    cp $(docdir)/mcrelay.yaml.example mcrelay.yaml" \
	    "    mcrelayd -d -f mcrelay.yaml" \
	    "For a service, copy an example to where mcrelayd looks, and change it:" \
	    "    cp $(docdir)/mcrelay.yaml $(docdir)/gyro.avsc $(sysconfdir)" \
	    "    mcrelayd -n"
uninstall-hook:
	rm -f "$(DESTDIR)$(docdir)/mcrelay.yaml.example"
	@for name in $(COMPLETED); do \
		rm -f "$(DESTDIR)$(completionsdir)/$$name" \
		    "$(DESTDIR)$(fishdir)/$$name.fish"; \
	done
