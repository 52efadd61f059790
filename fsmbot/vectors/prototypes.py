"""Word lists that stand for either side when vectors come without learned prototypes."""

from __future__ import annotations

_MEDICAL = (
    "fever cough headache pain nausea vomiting diarrhea rash swelling itching dizzy bleeding "
    "infection inflammation asthma diabetes cancer tumor stroke hypertension arthritis pneumonia "
    "pregnancy pregnant miscarriage menstrual antibiotics tablets dose dosage medication "
    "prescription symptoms diagnosis surgery treatment vaccine injury fracture bruise stomach "
    "throat chest kidney liver lungs bladder knee ankle suicidal overdose depression anxiety "
    "insomnia allergy"
)

_EVERYDAY = (
    "music song movie film actor football team game book author weather rain travel flight hotel "
    "restaurant pizza recipe bank money account card price buy shop phone computer software "
    "internet email website car train traffic city country history president election school "
    "university meeting office job alarm calendar holiday party joke hello thanks goodbye story "
    "guitar garden house language translate"
)

MEDICAL, EVERYDAY = tuple(_MEDICAL.split()), tuple(_EVERYDAY.split())
