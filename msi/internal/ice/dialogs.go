package ice

import (
	"slices"
	"strings"
)

// The bits of Control.Attributes and Dialog.Attributes.
const (
	controlIndirect = 0x8
	controlBitmap   = 0x40000
	controlIcon     = 0x80000
	dialogError     = 0x10000
)

// checkICE17 looks at controls that need a row elsewhere.
func checkICE17(c *checker) {
	type control struct{ dialog, name string }
	events := map[control]bool{}
	for r := range c.db.Rows("ControlEvent") {
		events[control{r.Text("Dialog_"), r.Text("Control_")}] = true
	}
	for r := range c.db.Rows("Control") {
		a := r.Int("Attributes")
		picture := func() {
			switch {
			case a&controlBitmap != 0 && a&controlIcon != 0:
				c.error(r.Key()+".Attributes", "the control has both a bitmap and an icon")
			case a&(controlBitmap|controlIcon) != 0 && len(references(r.Text("Text"))) == 0 && !c.has("Binary", r.Text("Text")):
				c.error(r.Key()+".Text", "%q is in no row of Binary", r.Text("Text"))
			}
		}
		list := func(table string) {
			if a&controlIndirect == 0 && !r.IsNull("Property") && !c.has(table, r.Text("Property")) {
				c.warn(r.Key()+".Property", "%q is in no row of %s, so that there is nothing to choose", r.Text("Property"), table)
			}
		}
		switch kind := r.Text("Type"); strings.ToLower(kind) {
		case "pushbutton":
			if !events[control{r.Text("Dialog_"), r.Text("Control")}] {
				c.error(r.Key(), "nothing in ControlEvent says what the button does")
			}
			picture()
		case "checkbox":
			picture()
		case "bitmap", "icon":
			if t := r.Text("Text"); len(references(t)) == 0 && !c.has("Binary", t) {
				c.error(r.Key()+".Text", "%q is in no row of Binary", t)
			}
		case "radiobuttongroup":
			list("RadioButton")
		case "listbox":
			if r.Text("Property") != "FileInUseProcess" { // which Windows Installer fills
				list("ListBox")
			}
		case "combobox":
			list("ComboBox")
		case "listview":
			list("ListView")
		}
	}
}

// hasUI reports whether the package brings a user interface.
func (c *checker) hasUI() bool {
	t := c.db.Table("Dialog")
	_, limited := c.properties["LIMITUI"]
	return t != nil && len(t.Rows) > 0 && !limited
}

// checkICE20 looks for the dialogs that an interface must have.
func checkICE20(c *checker) {
	if !c.hasUI() {
		return
	}
	ends := [...]struct {
		sequence int
		when     string
	}{{-1, "success"}, {-2, "a user's exit"}, {-3, "failure"}}
	for _, table := range [...]string{installUI, adminUI} {
		t := c.db.Table(table)
		if t == nil || len(t.Rows) == 0 {
			continue
		}
		for _, end := range ends {
			found := false
			for r := range c.db.Rows(table) {
				found = found || r.Int("Sequence") == end.sequence && (c.has("Dialog", r.Text("Action")) || c.has("CustomAction", r.Text("Action")))
			}
			if !found {
				c.error(table, "no dialog is shown after %s, which needs the sequence %d", end.when, end.sequence)
			}
		}
	}
	name, ok := c.properties["ErrorDialog"]
	d, exists := c.index("Dialog")[name]
	switch {
	case !ok:
		c.error("Property.ErrorDialog", "there is no such row, so that no error can be shown")
	case !exists:
		c.error("Property.ErrorDialog.Value", "%q is in no row of Dialog", name)
	case d.Int("Attributes")&dialogError == 0:
		c.error(d.Key()+".Attributes", "the dialog is for errors, and has no bit that says so (%#x)", dialogError)
	case d.Text("Control_First") != "ErrorText":
		c.error(d.Key()+".Control_First", "it is not ErrorText, which that of a dialog for errors must be")
	}
}

// checkICE23 follows the tab key through each dialog.
func checkICE23(c *checker) {
	next := map[string]map[string]string{}
	for r := range c.db.Rows("Control") {
		d := r.Text("Dialog_")
		if next[d] == nil {
			next[d] = map[string]string{}
		}
		next[d][r.Text("Control")] = r.Text("Control_Next")
	}
	for r := range c.db.Rows("Dialog") {
		controls := next[r.Text("Dialog")]
		delete(next, r.Text("Dialog")) // a second row of one key is ICE03's
		first := r.Text("Control_First")
		if _, ok := controls[first]; !ok {
			c.error(r.Key()+".Control_First", "%q is no control of the dialog", first)
			continue
		}
		inLoop := map[string]bool{}
		at := first
		for at != "" && !inLoop[at] {
			inLoop[at] = true
			n := controls[at]
			if _, ok := controls[n]; n != "" && !ok {
				c.error("Control."+r.Text("Dialog")+"."+at+".Control_Next", "%q is no control of the dialog", n)
				n = ""
			}
			at = n
		}
		left := false
		for name, n := range controls {
			left = left || n != "" && !inLoop[name]
		}
		switch {
		case len(inLoop) == 1 && at == "": // a dialog with a single control to go to
		case at != first:
			c.error(r.Key(), "the tab key does not come back to %q", first)
		}
		if left {
			c.error(r.Key(), "the tab key does not come to all controls that have a next one")
		}
	}
}

// checkICE31 looks at the styles that texts begin with: {\style} and {&style}.
func checkICE31(c *checker) {
	if f, ok := c.properties["DefaultUIFont"]; ok && !c.has("TextStyle", f) {
		c.error("Property.DefaultUIFont.Value", "%q is in no row of TextStyle", f)
	}
	for r := range c.db.Rows("Control") {
		text := r.Text("Text")
		if strings.EqualFold(r.Text("Type"), "ScrollableText") {
			continue
		}
		rest, ok := strings.CutPrefix(text, `{\`)
		if !ok {
			rest, ok = strings.CutPrefix(text, "{&")
		}
		if !ok {
			if strings.Contains(text, `{\`) || strings.Contains(text, "{&") {
				c.warn(r.Key()+".Text", "the style is not at the beginning, where it has an effect")
			}
			continue
		}
		style, _, closed := strings.Cut(rest, "}")
		switch {
		case !closed:
			c.error(r.Key()+".Text", "the style has no closing brace")
		case len(references(style)) == 0 && !c.has("TextStyle", style):
			c.error(r.Key()+".Text", "the style %q is in no row of TextStyle", style)
		}
	}
}

// checkICE34 looks at what radio buttons are chosen at first.
func checkICE34(c *checker) {
	values := map[string][]string{}
	for r := range c.db.Rows("RadioButton") {
		p := r.Text("Property")
		values[p] = append(values[p], r.Text("Value"))
	}
	for r := range c.db.Rows("Control") {
		if !strings.EqualFold(r.Text("Type"), "RadioButtonGroup") {
			continue
		}
		where := r.Key() + ".Property"
		p := r.Text("Property")
		if p == "" {
			c.error(where, "it is null, so that the group of buttons sets nothing")
			continue
		}
		if r.Int("Attributes")&controlIndirect != 0 {
			p = c.properties[p]
		}
		v, ok := c.properties[p]
		switch {
		case !ok:
			c.error(where, "%q has no value in Property, so that no button is chosen at first", p)
		case len(values[p]) > 0 && !slices.Contains(values[p], v):
			c.error(where, "%q has the value %q in Property, which is that of no button", p, v)
		}
	}
}

func checkICE44(c *checker) {
	for r := range c.db.Rows("ControlEvent") {
		switch r.Text("Event") {
		case "NewDialog", "SpawnDialog", "SpawnWaitDialog":
			if d := r.Text("Argument"); len(references(d)) == 0 && !c.has("Dialog", d) {
				c.error(r.Key()+".Argument", "%q is in no row of Dialog", d)
			}
		}
	}
}

// checkICE95 compares what is on billboards with the smallest place for them.
func checkICE95(c *checker) {
	var width, height int
	found := false
	for r := range c.db.Rows("Control") {
		if !strings.EqualFold(r.Text("Type"), "Billboard") {
			continue
		}
		w, h := r.Int("Width"), r.Int("Height")
		if !found {
			width, height, found = w, h, true
		}
		width, height = min(width, w), min(height, h)
	}
	if !found {
		return
	}
	for r := range c.db.Rows("BBControl") {
		if r.Int("X")+r.Int("Width") > width {
			c.warn(r.Key()+".Width", "the control is wider than the smallest billboard, which is %d wide", width)
		}
		if r.Int("Y")+r.Int("Height") > height {
			c.warn(r.Key()+".Height", "the control is higher than the smallest billboard, which is %d high", height)
		}
	}
}

func checkICE103(c *checker) {
	scrollable := map[string]bool{}
	for r := range c.db.Rows("Control") {
		if strings.EqualFold(r.Text("Type"), "ScrollableText") {
			scrollable[r.Text("Dialog_")] = true
		}
	}
	for r := range c.db.Rows("ControlEvent") {
		if r.Text("Event") == "MsiPrint" && !scrollable[r.Text("Dialog_")] {
			c.error(r.Key(), "there is no ScrollableText in the dialog that could be printed")
		}
	}
}
