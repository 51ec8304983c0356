# Sourced by the start scripts: cleaned PASSWORD prints it without the line breaks that `echo | base64` leaves at its end, as the
# programs read it too, and refuses one that some client or server could not be given.
cleaned() {
  cr=$(printf '\r')
  text=$(printf %s "$1")
  while [ "$text" != "${text%"$cr"}" ]; do text=$(printf %s "${text%"$cr"}"); done
  case $text in
    '') echo "the password in the Secret is empty: write one there, and restart the pods" >&2; return 1 ;;
    *[!\ -~]*)
      echo "the password in the Secret holds a line break, or something that is not plain ASCII:" \
        "use letters, digits and signs, and restart the pods" >&2
      return 1 ;;
  esac
  printf %s "$text"
}

# quoted PASSWORD: what stands between double quotes in a configuration file.
quoted() { printf %s "$1" | sed 's/[\\"]/\\&/g'; }
