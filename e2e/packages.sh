# Sourced: Debian's packages, where a script needs them and they are missing.

sudo_apt() { if [ "$(id -u)" = 0 ]; then apt-get "$@"; else sudo apt-get "$@"; fi; }

install() { # PACKAGE WHAT-FOR
    echo "installing Debian's $1 for $2"
    [ -n "${apt_updated:-}" ] || { sudo_apt update -qq; apt_updated=1; }
    sudo_apt install -y -qq --no-install-recommends "$1" >/dev/null
}

need() { # COMMAND PACKAGE
    command -v "$1" >/dev/null || install "$2" "$1"
}

need_file() { # PATH PACKAGE
    [ -e "$1" ] || install "$2" "$1"
}
