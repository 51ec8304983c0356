# Sourced by the start scripts. cleaned PASSWORD: prints it without the line breaks that `echo | base64` leaves at its end, just
# as the programs read it, and refuses one that some client or server could not take.
cleaned() {
  cr=$(printf '\r')
  text=$(printf %s "$1")
  while [ "$text" != "${text%"$cr"}" ]; do text=$(printf %s "${text%"$cr"}"); done
  case $text in
    '') echo "the password in the Secret is empty: set one there, and restart the pods" >&2; return 1 ;;
    *[!\ -~]*)
      echo "the password in the Secret contains a line break, or something that is not plain ASCII:" \
        "use letters, digits and punctuation, and restart the pods" >&2
      return 1 ;;
  esac
  printf %s "$text"
}

# quoted PASSWORD: prints it escaped for use between double quotes in a configuration file.
quoted() { printf %s "$1" | sed 's/[\\"]/\\&/g'; }
